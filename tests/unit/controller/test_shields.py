"""Busy workers' pods are annotated through the API server, key by key, and what was refused is written again."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.shields import ANNOTATIONS, INTERVAL_SECONDS
from workerpool_operator.kube import errors, kinds
from workerpool_operator.protocol import WorkerReport, Workers
from workerpool_operator.serve.state import Peer, StreamState

KEY: Final = PoolKey("media", "thumbs")
KARPENTER, AUTOSCALER = sorted(ANNOTATIONS, reverse=True)


@dataclass
class Server:
    """Takes every write but that of the pods that it refuses."""

    refusal: errors.KubeError | None = None
    patched: list[tuple[str, str | None, dict[str, str | None]]] = field(default_factory=list)
    stands: dict[str, str] = field(default_factory=dict)
    """The annotations of the worker's pod."""
    listed: int = 0

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        return {**body, "metadata": {**body["metadata"], "uid": body["kind"], "resourceVersion": "5"}}

    async def merge_patch(self, ref: Any, patch: dict[str, Any], *, uid: str | None = None) -> None:
        self.patched.append((str(ref), uid, patch["metadata"]["annotations"]))
        if self.refusal is not None:
            raise self.refusal

    async def all(self) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "thumbs-a", "uid": "a", "annotations": self.stands}}]

    def list(self, *_: Any, **__: Any) -> "Server":
        self.listed += 1
        return self


class Bench:
    """A reconciler of one pool in mode manual with one worker, which has a job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **spec: Any) -> None:
        self.server, self.now = Server(), time.monotonic()
        monkeypatch.setattr("workerpool_operator.controller.reconcile._now", lambda: self.now)
        store = Store()
        self.streams = StreamState(on_change=lambda *_: None, clock=lambda: self.now)
        self.streams.set_role(leader=True, epoch=1)
        self.reconciler = pool_reconciler(kube=self.server, store=store, streams=self.streams)
        body = pool_body(scaling={"mode": "manual"}, replicas=1, **spec)
        body["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1"}
        store.put(kinds.WORKER_POOL, body)

    async def look(self) -> None:
        busy = WorkerReport(pod="thumbs-a", uid="a", age_seconds=0, in_flight=1)
        self.streams.receive(Peer(namespace="media", pod="c"), Workers(pool="thumbs", workers=(busy,)))
        await self.reconciler.reconcile(KEY)
        self.now += 2 * INTERVAL_SECONDS


async def test_exactly_that_pod_is_annotated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    await bench.look()
    await bench.look()
    assert bench.server.patched == [("Pod media/thumbs-a", "a", {KARPENTER: "true", AUTOSCALER: "false"})]


async def test_a_new_leader_writes_nothing_that_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.server.stands = dict(ANNOTATIONS)
    await bench.look()
    await bench.look()
    assert (bench.server.patched, bench.server.listed) == ([], 1)


async def test_a_key_that_the_pool_itself_sets_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, worker={"podAnnotations": {KARPENTER: "true"}})
    await bench.look()
    assert [patch for _, _, patch in bench.server.patched] == [{AUTOSCALER: "false"}]
    both = Bench(monkeypatch, worker={"podAnnotations": {KARPENTER: "true", AUTOSCALER: "true"}})
    await both.look()
    assert both.server.patched == []


async def test_what_was_refused_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.server.refusal = errors.Unavailable("busy")
    await bench.look()
    bench.server.refusal = None
    await bench.look()
    await bench.look()
    assert len(bench.server.patched) == 2


async def test_a_pod_that_is_gone_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.server.refusal = errors.NotFound("no such pod")
    await bench.look()
    await bench.look()
    assert len(bench.server.patched) == 1
