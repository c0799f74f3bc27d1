"""What workers and queues report becomes a size, and a status that says why, on a real API server."""

from typing import Any

import pytest

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool.protocol import Counters
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import Kube, ObjectRef, kinds
from workerpool_operator.protocol import QueueSample, Samples, WorkerReport, Workers
from workerpool_operator.serve.state import Peer, StreamState

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

PEER = Peer(namespace="", pod="collector")


class Scene:
    """An operator whose collector plays 10 jobs/s of 0.5 s, one slot a worker, in played time."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.now = 0.0
        self.state = StreamState(on_change=lambda *_: None, clock=lambda: self.now)
        self.state.set_role(leader=True, epoch=1)
        self.store = Store()
        self.reconciler = pool_reconciler(kube=kube, store=self.store, streams=self.state)

    def flow(self, seconds: int, *, waiting: int) -> None:
        peer = Peer(namespace=self.namespace, pod="collector")
        for second in range(seconds + 1):
            self.now += 1.0
            done = 10 * second
            sample = QueueSample(queue="main", age_seconds=0.0, waiting=waiting, in_flight=1, arrivals_total=done)
            counters = Counters(started=done, processed=done, run_seconds=0.5 * done)
            report = WorkerReport(pod="p", uid="u", age_seconds=0.0, slots=1, counters=counters, in_flight=1)
            self.state.receive(peer, Samples(pool="thumbs", samples=(sample,)))
            self.state.receive(peer, Workers(pool="thumbs", workers=(report,)))

    async def status(self, **changes: Any) -> dict[str, Any]:
        """Reconcile the pool as the API server has it, and read what was written."""
        ref = ObjectRef(kinds.WORKER_POOL, self.namespace, "thumbs")
        self.store.put(kinds.WORKER_POOL, await self.kube.merge_patch(ref, changes))
        await self.reconciler.reconcile(PoolKey(self.namespace, "thumbs"))
        found: dict[str, Any] = (await self.kube.get(ref))["status"]["scaling"]
        return found


def pool(namespace: str, **scaling: Any) -> dict[str, Any]:
    body = pool_body("thumbs", namespace, scaling={"mode": "direct", "targets": {"jobLatencySeconds": 30}} | scaling)
    del body["metadata"]["uid"]
    return body


async def test_a_size_follows_from_what_is_measured_and_the_status_says_how(kube: Kube, namespace: str) -> None:
    await kube.create(pool(namespace, maxReplicas=8))
    scene = Scene(kube, namespace)
    scene.flow(20, waiting=300)
    told = await scene.status()
    assert {term["name"]: term["value"] for term in told["terms"]} == {"jobLatencySeconds": 10, "little": 5}
    assert (told["desired"], told["limitedBy"]) == (8, ["maxReplicas"])


async def test_what_cannot_be_said_is_in_the_status(kube: Kube, namespace: str) -> None:
    zone = {"cron": "0 7 * * *", "timeZone": "Mars/Olympus", "durationSeconds": 60, "minReplicas": 3}
    await kube.create(pool(namespace, schedules=[zone]))
    scene = Scene(kube, namespace)
    scene.flow(0, waiting=40)
    told = await scene.status()
    messages = {term["name"]: term["message"] for term in told["terms"] if "message" in term}
    assert set(messages) == {"jobLatencySeconds", "little", "schedules"}
    assert "there is no time zone 'Mars/Olympus'" in messages["schedules"]
    assert told["desired"] == 3


async def test_a_person_on_call_has_the_last_word(kube: Kube, namespace: str) -> None:
    await kube.create(pool(namespace))
    scene = Scene(kube, namespace)
    scene.flow(20, waiting=0)
    forced = await scene.status(metadata={"annotations": {"workerpool.dev/force-active": "20"}})
    assert (forced["desired"], forced["limitedBy"]) == (20, ["forceActive"])
