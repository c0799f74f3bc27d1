"""F7, the third way: the collector's own process and a Redis, and nothing comes through between them."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from e2e.cluster.ports import free_ports
from e2e.cluster.processes import Daemon, tail
from e2e.faults.collector import collector_token
from e2e.faults.lane import Lane
from e2e.faults.matrix import told
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import POOL, QUEUE, body_in
from e2e.support.redis_server import RedisServer
from e2e.support.wait import NotInTimeError, until
from workerpool import Queue
from workerpool_operator import protocol
from workerpool_operator.kube import ObjectRef, kinds

Json = dict[str, Any]

_BEFORE, _AFTER = 3, 5
"""Jobs that wait, and workers."""
_TOLD_SECONDS: Final = 30.0
_RECOVERED_SECONDS: Final = 30.0


async def cut_off(
    lane: Lane, *, home: Path, by: Callable[[int], AbstractAsyncContextManager[None]], seconds: float
) -> Trial:
    """Keep all packets from the broker's port by `by(port)`, for so long after the pool has said what is wrong.

    The control plane has the chart's ClusterRole of collectors.
    """
    namespace = f"broker-{secrets.token_hex(3)}"
    pool = ObjectRef(kinds.WORKER_POOL, namespace, POOL)
    requests, broken = lane.requests, list[str]()
    took: float | None = None
    await lane.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    with RedisServer(home / "redis") as redis:
        queue = Queue.connect(redis.url, stream=QUEUE, group=QUEUE)
        ledger = lane.witness.open(namespace)
        await lane.kube.create(_body(namespace, redis.url))
        try:
            async with _collector(lane, namespace, home) as log:
                try:
                    await _put(queue, _BEFORE)
                    await _has(lane, namespace, _BEFORE)
                    async with by(redis.port):
                        broken += await _unreachable(lane, pool)
                        await asyncio.sleep(seconds)
                        broken += await _held(lane, pool)
                    began = time.monotonic()
                    await _put(queue, _AFTER - _BEFORE)
                    await _has(lane, namespace, _AFTER)
                    took = time.monotonic() - began
                except NotInTimeError as error:
                    broken.append(f"{error}; the end of the collector's log:\n{tail(log)}")
        finally:
            await queue.close()
            await lane.kube.delete(pool)
    if len(ledger.created) > _AFTER:
        broken.append(f"{len(ledger.created)} workers were made instead of {_AFTER}")
    return Trial(
        name="collector and broker apart",
        converged_seconds=took,
        broken=tuple(broken),
        needless_restarts=max(0, len(ledger.created) - _AFTER),
        api_calls=lane.requests - requests,
    )


@asynccontextmanager
async def _collector(lane: Lane, namespace: str, home: Path) -> AsyncIterator[Path]:
    """Run the namespace's collector with what its pod would find mounted, in a folder that is there; gives its log."""
    async with lane.access.watch_session() as session:
        for file, audiences in (("token", ()), ("operator-token", (protocol.TOKEN_AUDIENCE,))):
            home.joinpath(file).write_text(await _token(lane, session, namespace, audiences))
    shutil.copy(str(lane.access.configuration.ssl_ca_cert), home / "ca.crt")
    stream, metrics, health = map(str, free_ports(3))
    env = {
        "OPERATOR_STREAM": f"127.0.0.1:{lane.operator.endpoint.port}",
        "OPERATOR_CA": lane.operator.endpoint.authority,
        "OPERATOR_TOKEN": str(home / "operator-token"),
        "POD_NAMESPACE": namespace,
        "POD_NAME": "collector",
        "API_SERVER": lane.access.server,
        "API_DIRECTORY": str(home),
        "CREDENTIALS": str(home),
        "BIND_ADDRESS": "127.0.0.1",
        "STREAM_PORT": stream,
        "METRICS_PORT": metrics,
        "HEALTH_PORT": health,
    }
    argv = (sys.executable, "-m", "workerpool_operator.collector")
    daemon = Daemon(name="collector", argv=argv, home=home, env=env)
    daemon.ensure()
    try:
        yield daemon.log
    finally:
        daemon.stop(grace=0)


async def _token(lane: Lane, session: aiohttp.ClientSession, namespace: str, audiences: Sequence[str]) -> str:
    """Of the account that the operator makes for a namespace with a pool."""

    async def made() -> str:
        try:
            return await collector_token(session, lane.access.server, namespace, audiences=audiences)
        except aiohttp.ClientResponseError:
            return ""

    return await until(made, seconds=30, what=f"the collector's account in {namespace}")


async def _put(queue: Queue, count: int) -> None:
    for _ in range(count):
        await queue.enqueue("any")


async def _has(lane: Lane, namespace: str, count: int) -> None:
    async def has() -> bool:
        return len(lane.witness.ready_workers(namespace, POOL)) == count

    await until(has, seconds=_RECOVERED_SECONDS, what=f"{count} workers")


async def _unreachable(lane: Lane, pool: ObjectRef) -> list[str]:
    """What is missing of a condition and an event that say what is wrong with the queue."""

    async def reason() -> str:
        conditions = (await lane.kube.get(pool)).get("status", {}).get("conditions", [])
        found = [one["reason"] for one in conditions if one["type"] == "QueueReachable" and one["status"] == "False"]
        return str(found[0]) if found else ""

    named = await until(reason, seconds=_TOLD_SECONDS, what="a condition that says that the queue is not read")
    return await told.missing(lane.kube, pool, named, seconds=_TOLD_SECONDS)


async def _held(lane: Lane, pool: ObjectRef) -> list[str]:
    """What is not as it was: unknown is not empty."""
    desired = (await lane.kube.get(pool))["status"]["scaling"]["desired"]
    count = len(lane.witness.ready_workers(pool.namespace, POOL))
    if (desired, count) == (_BEFORE, _BEFORE):
        return []
    return [f"{count} workers, and {desired} wanted, instead of {_BEFORE} while nobody knew of jobs"]


def _body(namespace: str, url: str) -> Json:
    """A pool that would sleep without jobs."""
    body = body_in(namespace, POOL)
    body["spec"]["queues"] = [{"name": QUEUE, "redisStream": {"url": url, "stream": QUEUE, "group": QUEUE}}]
    body["spec"]["scaling"]["minReplicas"] = 0
    return body
