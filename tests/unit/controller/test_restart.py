"""A stuck worker's pod is deleted by its uid, and told of only when the server has taken it."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool.protocol import Counters
from workerpool_operator.api import Reason, parse
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain import desired
from workerpool_operator.domain.scaling import History, ScaleInMemory
from workerpool_operator.domain.shields import Shields
from workerpool_operator.domain.snapshot import Memory
from workerpool_operator.domain.stuck import Restarts
from workerpool_operator.kube import errors, kinds
from workerpool_operator.protocol import QueueSample, Samples, WorkerReport, Workers
from workerpool_operator.serve.state import Peer, StreamState

KEY: Final = PoolKey("media", "thumbs")
COLLECTOR: Final = Peer(namespace="media", pod="c")
LONG: Final = 60
FENCED: Final = "0.1"
"""The first fence of a reconciler that was told of no term."""


def pool() -> dict[str, Any]:
    body = pool_body(scaling={"mode": "manual"}, replicas=2)
    body["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1"}
    return body


def pod(uid: str) -> dict[str, Any]:
    found = desired.hashes(parse(pool()))
    labels = {"workerpool.dev/version": found.version, "workerpool.dev/revision": found.revision}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": f"thumbs-{uid}", "uid": uid, "labels": labels}, "spec": {"nodeName": "n"}} | {
        "status": status
    }


@dataclass
class Server:
    """Has two ready workers, and takes every write but a deletion that is refused."""

    refusal: errors.KubeError | None = None
    deleted: list[tuple[str, str | None]] = field(default_factory=list)

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        known = {"uid": body["kind"], "resourceVersion": "5"}
        status = {"replicas": 2, "readyReplicas": 2} if body["kind"] == "Deployment" else {}
        return {"status": status} | body | {"metadata": {**body["metadata"], **known}}

    async def merge_patch(self, *_: Any, **__: Any) -> None:
        """Annotations of pods."""

    async def delete(self, ref: Any, *, uid: str | None = None, resource_version: str | None = None) -> None:
        assert resource_version is None
        self.deleted.append((str(ref), uid))
        if self.refusal is not None:
            raise self.refusal

    async def all(self) -> list[dict[str, Any]]:
        return [pod("a"), pod("b")]

    def list(self, *_: Any, **__: Any) -> "Server":
        return self


@dataclass
class Recorder:
    told: list[str] = field(default_factory=list)

    def emit(self, *_: Any, reason: str, **__: Any) -> None:
        self.told.append(reason)


class Bench:
    """A reconciler whose collector has told of a minute in which worker b began nothing and a was full."""

    def __init__(self) -> None:
        self.server, self.events, self.clock = Server(), Recorder(), time.monotonic() - LONG
        store = Store()
        self.streams = StreamState(on_change=lambda *_: None, clock=lambda: self.clock)
        self.streams.set_role(leader=True, epoch=1)
        self.reconciler = pool_reconciler(kube=self.server, store=store, streams=self.streams, events=self.events)
        store.put(kinds.WORKER_POOL, pool())
        past = History(since=0.0, active_at=0.0)
        term = ScaleInMemory(epoch=0)
        known = Memory(history=past, scale_in=term, restarts=Restarts(settled=True), shields=Shields(looked=True))
        self.reconciler.memories[KEY] = known

    def report(self, *, fence: str = "") -> None:
        busy = WorkerReport(
            pod="thumbs-a", uid="a", age_seconds=0, in_flight=1, counters=Counters(started=int(self.clock))
        )
        stuck = WorkerReport(pod="thumbs-b", uid="b", age_seconds=0, fence=fence)
        reading = QueueSample(queue="main", age_seconds=0.0, waiting=5, in_flight=1)
        self.streams.receive(COLLECTOR, Workers(pool="thumbs", workers=(busy, stuck)))
        self.streams.receive(COLLECTOR, Samples(pool="thumbs", samples=(reading,)))

    async def restart(self) -> None:
        for _ in range(LONG):
            self.clock += 1
            self.report()
        await self.reconciler.reconcile(KEY)  # makes the Deployment
        self.report(fence=FENCED)  # as b will when it is told, in the same look here
        await self.reconciler.reconcile(KEY)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_exactly_the_stuck_workers_pod_is_deleted_and_it_is_told(bench: Bench) -> None:
    await bench.restart()
    assert bench.server.deleted == [("Pod media/thumbs-b", "b")]
    assert bench.events.told.count(Reason.WORKER_RESTARTED) == 1
    stuck = bench.reconciler.metrics.registry.get_sample_value(
        "workerpool_stuck_workers", {"namespace": "media", "pool": "thumbs"}
    )
    assert stuck == 1


async def test_a_deletion_that_was_refused_is_no_restart_and_says_why(bench: Bench) -> None:
    bench.server.refusal = errors.Forbidden("pods is forbidden")
    await bench.restart()
    assert Reason.WORKER_RESTARTED not in bench.events.told
    assert Reason.FORBIDDEN in bench.events.told
