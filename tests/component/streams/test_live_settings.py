"""A changed `spec.delivery` is acted upon by running workers within seconds: through the operator's reconcile, the real
stream, the real collector, and the SDK.
"""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.component.streams.ends import NAMESPACE, Ends, both_ends
from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue
from workerpool_operator.collector import workers
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.scaling import THROTTLE
from workerpool_operator.kube import kinds
from workerpool_operator.protocol import PoolConfig

pytestmark = [pytest.mark.component, pytest.mark.redis]

IN_TIME_SECONDS: Final = 5.0 + 15.0
"""As promised, and what this machine may stand still meanwhile. Nothing is told twice in these tests."""
KEY: Final = PoolKey(NAMESPACE, "pool")
HARMLESS: Final = {"maxAttempts": 100, "backoffSeconds": 0, "backoffMaxSeconds": 0, "leaseSeconds": 60}
NEVER: Final = {"backoffSeconds": 3600, "backoffMaxSeconds": 3600}


class Server:
    """An API server that takes every write."""

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        return {**body, "metadata": {**body["metadata"], "uid": body["kind"], "resourceVersion": "5"}}

    async def merge_patch(self, *_: Any, **__: Any) -> None:
        """Annotations of pods."""


@dataclass
class Operator:
    """Its reconcile, on the stream of `ends`."""

    ends: Ends
    store: Store = field(default_factory=Store)
    version: int = 10
    annotations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reconciler = pool_reconciler(kube=Server(), store=self.store, streams=self.ends.state)

    async def deliver(self, **delivery: Any) -> None:
        """The pool's `spec.delivery` is this now, and the watch has told of it."""
        self.version += 1
        body = pool_body(delivery=HARMLESS | delivery)
        version = {"generation": self.version, "resourceVersion": str(self.version)}
        body["metadata"] |= {"name": KEY.name, "namespace": KEY.namespace, "uid": "u"} | version
        body["metadata"]["annotations"] = self.annotations
        self.store.put(kinds.WORKER_POOL, body)
        await self.reconciler.reconcile(KEY)


@dataclass
class Scene:
    """One operator, one collector, one worker whose jobs always fail."""

    operator: Operator
    queue: Queue
    leases: Callable[[], dict[bytes, bytes]]
    tried: list[int] = field(default_factory=list)
    """Attempt number of each try."""


@pytest.fixture
async def scene(
    tmp_path: Path, redis_server: RedisServer, redis_stream: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(workers, "REPEAT_SECONDS", 600.0)
    monkeypatch.setattr(workers, "SETTINGS_TTL_SECONDS", 1200.0)
    redis = {"url": redis_server.url, "stream": redis_stream, "group": redis_stream}
    config = PoolConfig(name=KEY.name, uid="u", queues=({"name": "main", "redisStream": redis},))
    client = redis_server.client()
    async with both_ends(tmp_path / "ends") as ends, Queue.connect(redis_server.url, stream=redis_stream) as queue:
        ends.api.add_pod("pod-1", pool=KEY.name)
        ends.lead(config)
        token = tmp_path / "worker-token"
        token.write_text(ends.api.token("pod-1"))
        env = environment(redis_server, redis_stream, token=token)
        worker = make_worker(env | {"WORKERPOOL_COLLECTOR": f"127.0.0.1:{ends.workers_port}"})
        key = f"{{{redis_stream}}}:leases:{redis_stream}"
        made = Scene(operator=Operator(ends), queue=queue, leases=lambda: client.hgetall(key))

        @worker.job("fails")
        async def fails(job: Job) -> None:
            made.tried.append(job.attempt)
            raise ValueError("as always")

        async with serving(worker):
            await made.operator.deliver()
            await until(lambda: bool(ends.state.view(NAMESPACE, KEY.name).workers), what="the worker's stream")
            yield made


async def test_a_changed_backoff_is_acted_upon_in_time(scene: Scene) -> None:
    """A job that was tried again and again is not for an hour; and the other way round for those that come."""
    await scene.queue.enqueue("fails", {})
    await until(lambda: len(scene.tried) > 3, what="tries without a pause")
    began = time.monotonic()
    await scene.operator.deliver(**NEVER)

    async def rests() -> bool:
        return (await scene.queue.depth()).delayed == 1

    await until(rests, what="the job put off")
    assert time.monotonic() - began < IN_TIME_SECONDS
    await scene.operator.deliver()
    earlier = len(scene.tried)
    began = time.monotonic()

    async def tried_twice() -> bool:
        """Those whose first try comes before the settings are put off like the one before."""
        if len(scene.tried) == earlier + len(fed):
            await scene.queue.enqueue("fails", {})
            fed.append("one more")
        return 2 in scene.tried[earlier:]

    fed: list[str] = []
    await until(tried_twice, what="a second try at once")
    assert time.monotonic() - began < IN_TIME_SECONDS


async def test_a_changed_number_of_attempts_is_acted_upon_in_time(scene: Scene) -> None:
    await scene.queue.enqueue("fails", {})
    await until(lambda: len(scene.tried) > 3, what="tries")
    began = time.monotonic()
    await scene.operator.deliver(maxAttempts=2)

    async def is_buried() -> bool:
        return (await scene.queue.depth()).dead_letters == 1

    await until(is_buried, what="the job among the dead letters")
    assert time.monotonic() - began < IN_TIME_SECONDS


async def test_a_changed_lease_is_announced_by_the_worker_in_time(scene: Scene) -> None:
    """Whoever looks for jobs of the dead goes by it."""
    began = time.monotonic()
    await scene.operator.deliver(leaseSeconds=90)
    await until(lambda: b"90000" in scene.leases(), what="the longer lease, announced")
    assert time.monotonic() - began < IN_TIME_SECONDS


async def test_a_changed_rate_limit_is_acted_upon_in_time(scene: Scene) -> None:
    """Tries end, for a reason that the operator is told; and go on when the limit is lifted."""
    await scene.queue.enqueue("fails", {})
    await until(lambda: len(scene.tried) > 3, what="tries")

    def reasons() -> set[str]:
        return {one.paused for one in scene.operator.ends.state.view(NAMESPACE, KEY.name).workers}

    async def nobody_at_work() -> bool:
        return (await scene.queue.depth()).in_flight == 0

    began = time.monotonic()
    await scene.operator.deliver(rateLimitPerSecond="0.001")
    await until(lambda: reasons() == {"rate limit"}, what="the worker said to be held back")
    assert time.monotonic() - began < IN_TIME_SECONDS
    await until(nobody_at_work, what="the last try over")
    earlier = len(scene.tried)
    began = time.monotonic()
    await scene.operator.deliver()
    await until(lambda: len(scene.tried) > earlier + 3, what="tries without a limit")
    assert time.monotonic() - began < IN_TIME_SECONDS


async def test_a_changed_limit_of_a_tenant_is_acted_upon_in_time(scene: Scene) -> None:
    """Its tries end, and it looks like no work to anybody; they go on when the limit is lifted."""
    await scene.queue.enqueue("fails", {}, tenant="acme")
    await until(lambda: len(scene.tried) > 3, what="tries")

    async def held() -> bool:
        depth = await scene.queue.depth()
        return (depth.waiting, depth.blocked, depth.in_flight) == (1, 1, 0)

    began = time.monotonic()
    await scene.operator.deliver(tenantLimits={"acme": {"ratePerSecond": "0.001"}})
    await until(held, what="the job held back")
    assert time.monotonic() - began < IN_TIME_SECONDS
    earlier = len(scene.tried)
    began = time.monotonic()
    await scene.operator.deliver()
    await until(lambda: len(scene.tried) > earlier, what="a try without the limit")
    assert time.monotonic() - began < IN_TIME_SECONDS


async def test_a_changed_concurrency_is_acted_upon_in_time(scene: Scene) -> None:
    """And the operator is told of the slots that are left, by which it sizes the pool."""

    def slots() -> set[int]:
        return {one.slots for one in scene.operator.ends.state.view(NAMESPACE, KEY.name).workers}

    await until(lambda: slots() == {20}, what="the worker heard with all its slots")
    began = time.monotonic()
    await scene.operator.deliver(concurrencyPerWorker=3)
    await until(lambda: slots() == {3}, what="the worker said to have fewer slots")
    assert time.monotonic() - began < IN_TIME_SECONDS
    began = time.monotonic()
    await scene.operator.deliver()
    await until(lambda: slots() == {20}, what="the worker said to have all its slots again")
    assert time.monotonic() - began < IN_TIME_SECONDS


async def test_a_throttle_slows_running_workers_down_and_its_end_lets_them_go(scene: Scene) -> None:
    def paused() -> list[str]:
        return [worker.paused for worker in scene.operator.ends.state.view(NAMESPACE, KEY.name).workers]

    await scene.queue.enqueue("fails", {})
    await until(lambda: len(scene.tried) > 3, what="tries without a pause")
    scene.operator.annotations[THROTTLE] = "0.001@2999-01-01T00:00:00Z"
    await scene.operator.deliver()
    await until(lambda: paused() == ["rate limit"], what="the worker out of its rate")
    held = len(scene.tried)
    scene.operator.annotations[THROTTLE] = "0.001@2000-01-01T00:00:00Z"
    await scene.operator.deliver()
    await until(lambda: len(scene.tried) > held + 3, what="tries without a pause")
