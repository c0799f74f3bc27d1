"""A rate limit by shares, on brokers that cannot count for all workers: the operator's reconcile, the real stream, the
real collector, and workers on a real RabbitMQ and a real Kafka.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.component.sdk.kafka_views import new_topic
from tests.component.sdk.running import make_worker, serving
from tests.component.streams.ends import NAMESPACE, Ends, both_ends
from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue
from workerpool.runtime.limits import SHARE_BURST_SECONDS
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.scaling import THROTTLE
from workerpool_operator.kube import kinds
from workerpool_operator.protocol import PoolConfig

pytestmark = [pytest.mark.component]

KEY: Final = PoolKey(NAMESPACE, "pool")
RATE: Final = 60.0
THROTTLED: Final = 20.0
JOBS: Final = 4000
"""More than begin under the limits, however often it is measured."""


class Server:
    """An API server that takes every write, and says that all workers are there."""

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        status = {"replicas": 3, "readyReplicas": 3} if body["kind"] == "Deployment" else {}
        known = {**body["metadata"], "uid": body["kind"], "resourceVersion": "5"}
        return {"status": status, **body, "metadata": known}

    async def merge_patch(self, *_: Any, **__: Any) -> None:
        """Annotations of pods."""

    async def all(self) -> list[dict[str, Any]]:
        """Pods: nothing stands at them."""
        return []

    def list(self, *_: Any, **__: Any) -> "Server":
        return self


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the jobs are: as the resource has it, and as the SDK does."""

    queue: dict[str, Any]
    env: dict[str, str]
    url: str
    name: str


@pytest.fixture(
    params=[pytest.param("rabbitmq", marks=pytest.mark.rabbitmq), pytest.param("kafka", marks=pytest.mark.kafka)]
)
async def place(request: pytest.FixtureRequest) -> Place:
    server = request.getfixturevalue(f"{request.param}_server")
    if request.param == "kafka":
        name = await new_topic(server, partitions=6)
        queue = {"kafka": {"url": server.url, "topic": name, "group": name}}
        env = {"QUEUE_MAIN_TOPIC": name, "QUEUE_MAIN_GROUP": name}
    else:
        name = f"jobs-{secrets.token_hex(4)}"
        queue, env = {"rabbitmq": {"url": server.url, "queue": name}}, {"QUEUE_MAIN_QUEUE": name}
    return Place(queue={"name": "main", **queue}, env={"QUEUE_MAIN_URL": server.url, **env}, url=server.url, name=name)


@dataclass
class Pool:
    """Its operator, which looks whenever something changes, and its workers."""

    ends: Ends
    home: Path
    place: Place
    begun: list[float] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    said: int = 0
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        self.reconciler = pool_reconciler(kube=Server(), store=self.store, streams=self.ends.state)

    async def operate(self) -> None:
        while True:
            if self.ends.changes and self.said:
                self.ends.changes.clear()
                await self.reconciler.reconcile(KEY)
            await asyncio.sleep(0.02)

    def say(self, **delivery: Any) -> None:
        """The pool is like this now, and the watch has told of it."""
        self.said += 1
        body = pool_body(delivery=delivery, queues=[self.place.queue], scaling={"mode": "manual"}, replicas=3)
        version = {"generation": self.said, "resourceVersion": str(self.said)}
        body["metadata"] |= {"name": KEY.name, "namespace": KEY.namespace, "uid": "u"} | version
        body["metadata"]["annotations"] = self.annotations
        self.store.put(kinds.WORKER_POOL, body)
        self.ends.changes.append((KEY.namespace, KEY.name))

    @contextlib.asynccontextmanager
    async def worker(self, pod: str) -> AsyncIterator[None]:
        """One at work, until its pod is gone. Its template is of a pool with the limit."""
        self.ends.api.add_pod(pod, pool=KEY.name)
        token = self.home / f"token-{pod}"
        token.write_text(self.ends.api.token(pod))
        env = {
            "WORKERPOOL_NAME": KEY.name,
            "WORKERPOOL_VERSION": "v1",
            "WORKERPOOL_POD": pod,
            "WORKERPOOL_TOKEN_FILE": str(token),
            "WORKERPOOL_COLLECTOR": f"127.0.0.1:{self.ends.workers_port}",
            "RATE_LIMIT_PER_SECOND": f"{RATE:g}",
            "HEARTBEAT_INTERVAL": "0.2",
            "DRAIN_TIMEOUT": "5",
        }
        worker = make_worker(env | self.place.env)

        @worker.job("work")
        async def work(job: Job) -> None:
            self.begun.append(time.monotonic())

        async with serving(worker):
            yield
            self.ends.api.delete_pod(pod)
        self.ends.api.remove_pod(pod)

    def shares(self) -> dict[str, float]:
        """What workers say that they go by."""
        workers = self.ends.state.view(NAMESPACE, KEY.name).workers
        return {worker.pod: worker.share.per_second for worker in workers if worker.share is not None}

    async def measured(self, rate: float) -> None:
        """Over 3 s never above the limit by a fifth; nor below, which a stall of this machine may spoil a few times.

        After one, what the buckets of all workers held by its end begins at once.
        """
        rates: list[float] = []
        jobs, spare = int(3 * rate), len(self.shares()) + rate * SHARE_BURST_SECONDS
        while len(rates) < 6 and not any(found >= 0.8 * rate for found in rates):
            first = len(self.begun)
            await until(partial(self._has, first + jobs), what="jobs under the limit")
            seconds = self.begun[first + jobs] - self.begun[first]
            rates.append(jobs / seconds)
            assert (jobs - spare) / seconds <= 1.1 * rate, rates
        assert rates[-1] >= 0.8 * rate, rates

    def _has(self, count: int) -> bool:
        return len(self.begun) > count


@pytest.fixture
async def pool(tmp_path: Path, place: Place) -> AsyncIterator[Pool]:
    async with both_ends(tmp_path / "ends") as ends:
        made = Pool(ends=ends, home=tmp_path, place=place)
        ends.lead(PoolConfig(name=KEY.name, uid="u", queues=(place.queue,)))
        operator = asyncio.create_task(made.operate())
        yield made
        operator.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await operator


async def test_workers_keep_the_limit_together_while_they_come_and_go_and_are_throttled(pool: Pool) -> None:
    """Each has the same in the end, and the pool as a whole begins as many jobs as it may, and no more."""
    pool.say(rateLimitPerSecond=int(RATE))
    async with Queue.connect(pool.place.url, stream=pool.place.name) as queue, contextlib.AsyncExitStack() as others:
        await queue.enqueue_many([JobSpec("work", None)] * JOBS)
        async with pool.worker("pod-1"):
            for pod in ("pod-2", "pod-3"):
                await others.enter_async_context(pool.worker(pod))
            await until(lambda: pool.shares() == dict.fromkeys(("pod-1", "pod-2", "pod-3"), 20.0), what="three shares")
            await pool.measured(RATE)
        await until(lambda: pool.shares() == dict.fromkeys(("pod-2", "pod-3"), 30.0), what="two shares")
        await pool.measured(RATE)
        pool.annotations[THROTTLE] = f"{THROTTLED:g}@2999-01-01T00:00:00Z"
        pool.say(rateLimitPerSecond=int(RATE))
        await until(lambda: pool.shares() == dict.fromkeys(("pod-2", "pod-3"), 10.0), what="the throttle's shares")
        await pool.measured(THROTTLED)
        pool.annotations.clear()
        pool.say()
        await until(lambda: len(pool.begun) >= JOBS and pool.shares() == {}, what="all jobs, without a limit")


async def test_a_worker_that_was_never_told_begins_nothing_until_it_is(pool: Pool) -> None:
    """Its environment names the limit, and nobody its share."""
    async with (
        Queue.connect(pool.place.url, stream=pool.place.name) as queue,
        pool.worker("pod-1"),
    ):
        await queue.enqueue_many([JobSpec("work", None)] * JOBS)

        def paused() -> list[str]:
            return [worker.paused for worker in pool.ends.state.view(NAMESPACE, KEY.name).workers]

        await until(lambda: paused() == ["rate limit"], what="the worker held back")
        assert pool.begun == []
        pool.say(rateLimitPerSecond=int(RATE))
        await pool.measured(RATE)
