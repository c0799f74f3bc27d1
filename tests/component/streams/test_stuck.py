"""A worker that really takes nothing more is found by what it and its peer report, fenced, and deleted: with the real
stream, the real collector, real worker processes and a real Redis.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.component.sdk.running import environment
from tests.component.streams.ends import NAMESPACE, Ends, both_ends
from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import JobSpec, Queue
from workerpool_operator.api import parse
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.reconcile import PoolReconciler
from workerpool_operator.controller.store import Store
from workerpool_operator.domain import desired
from workerpool_operator.domain.scaling import History, ScaleInMemory
from workerpool_operator.domain.snapshot import Memory
from workerpool_operator.domain.stuck import Restarts
from workerpool_operator.kube import kinds
from workerpool_operator.protocol import PoolConfig

pytestmark = [pytest.mark.component, pytest.mark.redis]

KEY: Final = PoolKey(NAMESPACE, "pool")
PROGRAM: Final = Path(__file__).parents[3] / "e2e" / "support" / "stuck_worker.py"
PODS: Final = ("pod-1", "pod-2")


def pool() -> dict[str, Any]:
    """As quick as the schema allows."""
    worker = {"image": "any", "maxWorkers": 1, "heartbeatPeriodSeconds": 1, "stuckAfterSeconds": 2}
    body = pool_body(scaling={"mode": "manual"}, replicas=2, worker=worker)
    body["metadata"] |= {"name": KEY.name, "namespace": KEY.namespace, "uid": "u"}
    body["metadata"] |= {"generation": 1, "resourceVersion": "1"}
    return body


@dataclass
class Server:
    """An API server with the pods of two ready workers, which takes every write."""

    deleted: list[tuple[str, str | None]] = field(default_factory=list)

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        known = {"uid": body["kind"], "resourceVersion": "5"}
        status = {"replicas": 2, "readyReplicas": 2} if body["kind"] == "Deployment" else {}
        return {"status": status} | body | {"metadata": {**body["metadata"], **known}}

    async def merge_patch(self, *_: Any, **__: Any) -> None:
        """Annotations of pods."""

    async def delete(self, ref: Any, *, uid: str | None = None, **_: Any) -> None:
        self.deleted.append((ref.name, uid))

    async def all(self) -> list[dict[str, Any]]:
        found = desired.hashes(parse(pool()))
        labels = {"workerpool.dev/version": found.version, "workerpool.dev/revision": found.revision}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels}, "status": status} for name in PODS]

    def list(self, *_: Any, **__: Any) -> "Server":
        return self


def operator(server: Server, ends: Ends) -> PoolReconciler:
    """A reconciler of a leader that has led for long."""
    store = Store()
    store.put(kinds.WORKER_POOL, pool())
    made = pool_reconciler(kube=server, store=store, streams=ends.state)
    past = History(since=0.0, active_at=time.monotonic())
    made.memories[KEY] = Memory(
        history=past, scale_in=ScaleInMemory(epoch=0), restarts=Restarts(settled=True), pod_start_seconds=1.0
    )
    return made


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[dict[str, WorkerProcess]]:
    started: dict[str, WorkerProcess] = {}
    yield started
    for process in started.values():
        process.kill()


async def test_a_worker_that_takes_nothing_more_is_found_fenced_and_deleted_and_its_peer_works_on(
    tmp_path: Path, redis_server: RedisServer, redis_stream: str, workers: dict[str, WorkerProcess]
) -> None:
    server = Server()
    redis = {"url": redis_server.url, "stream": redis_stream, "group": redis_stream}
    config = PoolConfig(name=KEY.name, uid="u", queues=({"name": "main", "redisStream": redis},))
    async with both_ends(tmp_path / "ends") as ends, Queue.connect(redis_server.url, stream=redis_stream) as queue:
        ends.lead(config)
        for name in PODS:
            ends.api.add_pod(name, pool=KEY.name)
            token = tmp_path / f"token-{name}"
            token.write_text(ends.api.token(name))
            env = environment(redis_server, redis_stream, token=token, WORKERPOOL_POD=name, MAX_WORKERS="1")
            env |= {"WORKERPOOL_COLLECTOR": f"127.0.0.1:{ends.workers_port}"}
            workers[name] = WorkerProcess(PROGRAM, env, log=tmp_path / f"{name}.log").wait_ready()
        await until(lambda: len(ends.state.view(NAMESPACE, KEY.name).conducts) == 2, what="both workers' streams")
        await queue.enqueue("stick", {})
        await until(lambda: any('"stuck"' in one.output for one in workers.values()), what="a stuck worker")
        stuck = next(name for name, one in workers.items() if '"stuck"' in one.output)
        await queue.enqueue_many([JobSpec("work", {"seconds": 0.3}) for _ in range(300)])
        reconciler = operator(server, ends)

        async def deleted() -> bool:
            await reconciler.reconcile(KEY)
            return bool(server.deleted)

        await until(deleted, what="a deletion")
        assert server.deleted == [(stuck, f"uid-{stuck}")]
        reports = {one.pod: one for one in ends.state.view(NAMESPACE, KEY.name).workers}
        assert reports[stuck].fence != ""
        (peer,) = set(PODS) - {stuck}
        assert reports[peer].fence == ""
        assert all(one.alive for one in workers.values())
