"""How often a pool's status is written while its workers come up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from tests.unit.controller.test_review_reconcile import KEY, Server
from workerpool_operator.controller import reconcile
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.status import COUNT_WRITE_MAX_SECONDS, COUNT_WRITE_SECONDS
from workerpool_operator.kube import errors, kinds
from workerpool_operator.serve.state import StreamState


class Stage(Server):
    """A pool of three, and its Deployment as Kubernetes would have it; the clock goes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.now, self.store, self.ready = 1000.0, Store(), 0
        self.deployment: dict[str, Any] = {}
        self.takes = 0.0
        """Seconds, each write of the status."""
        self.refusal: errors.KubeError | None = None
        self.told: list[int] = []
        """Ready workers, of each status that was written."""
        monkeypatch.setattr(reconcile, "_now", lambda: self.now)
        streams = StreamState(on_change=lambda *_: None, clock=lambda: self.now)
        self._reconciler = pool_reconciler(kube=self, store=self.store, streams=streams)
        body = pool_body()
        body["spec"] |= {"scaling": {"mode": "manual"}, "replicas": 3}
        body["metadata"] |= {"uid": "pool", "generation": 1, "resourceVersion": "1"}
        self.store.put(kinds.WORKER_POOL, body)
        self._pool = body

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        if subresource == "status":
            self.now += self.takes
            if self.refusal is not None:
                raise self.refusal
            self.told.append(body["status"]["readyReplicas"])
            body = {**self._pool, "status": body["status"]}
            self.version += 1
            return {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        answer = await super().apply(body, subresource=subresource)
        if body["kind"] == "Deployment":
            self.deployment = answer
        return answer

    async def all(self) -> list[dict[str, Any]]:
        """Its pods."""
        return [
            {
                "metadata": {"name": f"pod-{number}", "uid": f"pod-{number}"},
                "spec": {"nodeName": "node-1"},
                "status": {"conditions": [{"type": "Ready", "status": "True" if number < self.ready else "False"}]},
            }
            for number in range(3)
        ]

    def list(self, *_: Any, **__: Any) -> Stage:
        return self

    async def look(self, *, ready: int) -> float | None:
        """So many workers are ready: when is the next look?"""
        self.ready = ready
        self.version += 1
        metadata = {**self.deployment["metadata"], "resourceVersion": str(self.version)}
        status = {"replicas": 3, "readyReplicas": ready}
        self.store.put(kinds.DEPLOYMENT, {**self.deployment, "metadata": metadata, "status": status})
        return await self.reconcile()

    async def begin(self, *, ready: int) -> None:
        """Its objects are made, and so many of its workers have become ready since."""
        await self.reconcile()
        self.now += 10
        await self.look(ready=ready)

    async def reconcile(self) -> float | None:
        outcome = await self._reconciler.reconcile(KEY)
        assert outcome.failed == (self.refusal is not None)
        return outcome.look_again


async def test_workers_that_come_up_one_after_the_other_are_told_of_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    await stage.begin(ready=0)
    stage.now += 10
    await stage.look(ready=1)
    assert stage.told[-1] == 1
    written = len(stage.told)
    stage.now += 0.4
    again = await stage.look(ready=2)
    assert len(stage.told) == written
    assert again == pytest.approx(COUNT_WRITE_SECONDS - 0.4)
    stage.now += again or 0.0
    await stage.reconcile()  # nothing else has happened
    assert stage.told[written:] == [2]


async def test_that_all_are_ready_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    await stage.begin(ready=2)
    stage.now += 0.1
    await stage.look(ready=3)
    assert stage.told[-1] == 3


async def test_an_api_server_that_is_slow_is_told_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next write may come when the last one has taken a tenth of the time since it began."""
    stage = Stage(monkeypatch)
    await stage.begin(ready=0)
    stage.now, stage.takes = stage.now + 30, 0.4
    await stage.look(ready=1)
    assert stage.told[-1] == 1
    stage.now, written = stage.now + 0.6, len(stage.told)
    again = await stage.look(ready=2)
    assert len(stage.told) == written
    assert again == pytest.approx(3.0)
    stage.now += again or 0.0
    await stage.reconcile()
    assert stage.told[written:] == [2]


async def test_however_slow_it_is_no_count_stays_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else brings a look: it was told of with the next change, minutes later or never."""
    stage = Stage(monkeypatch)
    await stage.begin(ready=0)
    stage.now, stage.takes = stage.now + 30, 3.5
    await stage.look(ready=2)
    written = len(stage.told)
    again = await stage.look(ready=1)
    assert again is not None
    assert again <= COUNT_WRITE_MAX_SECONDS
    stage.now += again
    await stage.reconcile()
    assert stage.told[written:] == [1]


async def test_counts_whose_write_failed_are_written_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    await stage.begin(ready=1)
    stage.now += 30
    stage.takes, stage.refusal = 4.0, errors.RequestTimeout("no answer within 4 s")
    await stage.look(ready=2)
    stage.takes, stage.refusal = 0.0, None
    await stage.reconcile()
    assert stage.told[-1] == 2
