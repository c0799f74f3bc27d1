"""Readings go up, orders come down, and what breaks in between heals."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.component.streams.ends import NAMESPACE, Ends, both_ends
from tests.support.attacks import attack
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Queue
from workerpool.protocol import Delivery, Share
from workerpool_operator.collector import workers
from workerpool_operator.protocol import LEAVING_FENCE, PoolConfig, QueueSample, SampleError, WorkerReport

pytestmark = [pytest.mark.component, pytest.mark.redis]

DELIVERY = Delivery(max_attempts=3, backoff_seconds=1, backoff_max_seconds=2, lease_seconds=30)


@pytest.fixture
async def ends(tmp_path: Path) -> AsyncIterator[Ends]:
    async with both_ends(tmp_path) as made:
        yield made


def pool(url: str, stream: str, *, name: str = "web", **queue: object) -> PoolConfig:
    redis = {"url": url, "stream": stream, "group": stream}
    return PoolConfig(name=name, uid=name, queues=({"name": "main", "redisStream": redis, **queue},))


def sample_of(ends: Ends, name: str = "web") -> Callable[[], QueueSample | None]:
    def find() -> QueueSample | None:
        samples = ends.state.view(NAMESPACE, name).samples
        return samples[0] if samples else None

    return find


def worker_of(ends: Ends) -> Callable[[], WorkerReport | None]:
    def find() -> WorkerReport | None:
        workers = ends.state.view(NAMESPACE, "web").workers
        return workers[0] if workers else None

    return find


def waiting(ends: Ends, count: int, name: str = "web") -> Callable[[], bool]:
    find = sample_of(ends, name)
    return lambda: (sample := find()) is not None and sample.waiting == count


def failed(ends: Ends, error: SampleError, name: str = "web") -> Callable[[], bool]:
    find = sample_of(ends, name)
    return lambda: (sample := find()) is not None and sample.error is error


async def test_a_job_put_into_the_queue_is_known_to_the_operator_within_a_second(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    ends.lead(pool(redis_server.url, redis_stream))
    await until(waiting(ends, 0), what="an empty queue")
    queue = Queue.connect(redis_server.url, stream=redis_stream, group=redis_stream)
    before = len(ends.changes)
    await queue.enqueue("any", {})
    await until(waiting(ends, 1), what="one job")
    assert len(ends.changes) > before
    await queue.close()


async def test_a_broker_that_cannot_be_reached_says_so_and_hurts_no_other_pool(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs", name="lost"), pool(redis_server.url, redis_stream))
    await until(failed(ends, SampleError.UNREACHABLE, "lost"), what="the failure of one")
    await until(waiting(ends, 0), what="the reading of the other")


async def test_missing_credentials_are_told_and_picked_up_when_they_come(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    secret = {"password": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    ends.lead(pool(redis_server.url, redis_stream, credentials=secret))
    await until(failed(ends, SampleError.CREDENTIALS_MISSING), what="missing credentials")
    folder = ends.home / "credentials" / "web" / "main"
    folder.mkdir(parents=True)
    (folder / "password").write_text("wrong")
    await until(failed(ends, SampleError.AUTHENTICATION_FAILED), what="refused credentials")
    sample = sample_of(ends)()
    assert sample is not None
    assert "wrong" not in sample.message


@pytest.fixture
def no_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard was told because it changed."""
    monkeypatch.setattr(workers, "REPEAT_SECONDS", 600.0)


@pytest.mark.usefixtures("no_repeats")
async def test_a_fence_reaches_the_worker_and_its_answer_the_operator_at_once(ends: Ends) -> None:
    ends.api.add_pod("p1")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))
    async with ends.worker("p1", ends.api.token("p1")) as worker:
        await worker.hello()
        await worker.report(2)
        await until(lambda: (w := worker_of(ends)()) is not None and w.in_flight == 2, what="the report")
        ends.state.fence(NAMESPACE, "web", "1.1", ["uid-p1"])
        await worker.settings(lambda settings: settings.fence == "1.1")
        await worker.report(0, fence="1.1")
        await until(lambda: (w := worker_of(ends)()) is not None and w.fence == "1.1", what="the answer")
        ends.state.fence(NAMESPACE, "web", "1.1", [])
        await worker.settings(lambda settings: settings.fence == "")


@pytest.mark.usefixtures("no_repeats")
async def test_a_worker_whose_pod_somebody_deletes_is_fenced_at_once_and_the_operator_s_fence_goes_first(
    ends: Ends,
) -> None:
    ends.api.add_pod("p1")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))
    async with ends.worker("p1", ends.api.token("p1")) as worker:
        await worker.hello()
        await worker.settings(lambda settings: settings.fence == "")
        ends.api.delete_pod("p1")
        await worker.settings(lambda settings: settings.fence == LEAVING_FENCE)
        ends.state.fence(NAMESPACE, "web", "1.1", ["uid-p1"])
        await worker.settings(lambda settings: settings.fence == "1.1")
        ends.state.fence(NAMESPACE, "web", "1.1", [])
        assert (await worker.settings(lambda settings: settings.fence != "1.1")).fence == LEAVING_FENCE


async def test_delivery_rules_reach_workers_that_run_and_workers_that_come_later(ends: Ends) -> None:
    ends.api.add_pod("p1")
    ends.api.add_pod("p2")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))
    async with ends.worker("p1", ends.api.token("p1")) as early:
        await early.hello()
        await early.settings(lambda settings: settings.delivery is None)
        ends.state.settings(NAMESPACE, "web", DELIVERY, {"uid-p1": Share(id="1.1", per_second=2.0)})
        told = await early.settings(lambda settings: settings.delivery == DELIVERY)
        assert told.share == Share(id="1.1", per_second=2.0)
        async with ends.worker("p2", ends.api.token("p2")) as late:
            await late.hello()
            told = await late.settings(lambda settings: settings.delivery == DELIVERY)
            assert told.share is None, "that of another worker is none of its"


async def test_a_worker_that_leaves_is_disconnected_and_one_whose_pod_is_gone_is_forgotten(ends: Ends) -> None:
    ends.api.add_pod("p1")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))
    async with ends.worker("p1", ends.api.token("p1")) as worker:
        await worker.hello()
        await worker.report(1)
        await until(lambda: worker_of(ends)() is not None, what="the worker")
    await until(lambda: (w := worker_of(ends)()) is not None and not w.connected, what="its leave")
    ends.api.remove_pod("p1")
    await until(lambda: worker_of(ends)() is None, what="its end")


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": ["workerpool-operator"]},
        {"exp": 1.0},
        {"iss": "https://elsewhere"},
        {"kubernetes.io": {"namespace": "other", "pod": {"name": "p1", "uid": "uid-p1"}}},
        {"kubernetes.io": {"namespace": NAMESPACE}},
        {"kid": "two"},
        {"key": rsa.generate_private_key(65537, 2048)},
    ],
    ids=["audience", "expired", "issuer", "namespace", "no-pod", "unknown-key", "forged"],
)
@attack(
    "a worker's stream with a forged, expired or foreign token",
    stopped_by="the token's signature, issuer, audience, namespace and pod",
)
async def test_a_token_that_proves_nothing_is_refused(ends: Ends, changed: dict[str, object]) -> None:
    ends.api.add_pod("p1")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with ends.worker("p1", ends.api.token("p1", **changed)):  # type: ignore[arg-type]
            pass
    assert refused.value.status == 403


@attack("a worker that reports for another pool", stopped_by="what a pod may speak for comes from the API server")
async def test_a_worker_cannot_speak_for_another_pool(ends: Ends) -> None:
    ends.api.add_pod("p1", pool="other")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))
    async with ends.worker("p1", ends.api.token("p1")) as worker:
        await worker.hello(pool="web")
        closed = await worker.stream.receive(timeout=60)
        assert closed.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert worker_of(ends)() is None


@attack("a collector's stream with a wrong token", stopped_by="the API server vouches for tokens (TokenReview)")
async def test_a_collector_with_a_wrong_token_is_told_nothing(ends: Ends) -> None:
    (ends.home / "token").write_text("another")
    await ends.stop_operator()
    state = ends.new_state()
    await ends.start_operator(state)
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"))

    async def alone() -> bool:
        return bool((await ends.state_of_collector())["operators_connected"] == 0)

    await until(alone, what="no operator at the collector")
    assert state.view(NAMESPACE, "web").collectors_connected == 0


async def test_after_a_change_of_operator_readings_and_orders_are_all_there_again(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    ends.api.add_pod("p1")
    ends.lead(pool(redis_server.url, redis_stream), epoch=1)
    async with ends.worker("p1", ends.api.token("p1")) as worker:
        await worker.hello()
        await worker.report(1)
        await until(waiting(ends, 0), what="the first reading")
        await ends.stop_operator()
        await ends.start_operator(ends.new_state())
        ends.lead(pool(redis_server.url, redis_stream), epoch=2)
        ends.state.fence(NAMESPACE, "web", "2.1", ["uid-p1"])
        await until(waiting(ends, 0), what="the reading, told again")
        await until(lambda: (w := worker_of(ends)()) is not None and w.in_flight == 1, what="the worker, told again")
        await worker.settings(lambda settings: settings.fence == "2.1")


@attack("orders of a leader that is none any more", stopped_by="each order names its term")
async def test_orders_of_a_leader_that_was_replaced_are_refused(ends: Ends) -> None:
    ends.api.add_pod("p1")
    ends.lead(pool("redis://127.0.0.1:1/0", "jobs"), epoch=5)
    async with ends.worker("p1", ends.api.token("p1")) as worker:
        await worker.hello()
        await worker.settings(lambda settings: settings.fence == "")
        ends.state.set_role(leader=True, epoch=4)
        ends.state.fence(NAMESPACE, "web", "4.1", ["uid-p1"])
        ends.state.set_role(leader=True, epoch=6)
        ends.state.fence(NAMESPACE, "web", "6.1", ["uid-p1"])
        assert (await worker.settings(lambda settings: settings.fence != "")).fence == "6.1"
