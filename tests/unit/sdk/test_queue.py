"""The producer's side, on a broker that has no room or is away."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from workerpool import BrokerUnavailable, ConfigurationError, JobSpec, PayloadInvalid, Queue, QueueFull, RateLimited
from workerpool.broker import Credentials, NewJob
from workerpool.broker._redis.capabilities import CAPABILITIES


class Broker:
    """Accepts by a script: a number of jobs, or an error."""

    capabilities = CAPABILITIES

    def __init__(self, *script: int | Exception) -> None:
        self.script = list(script)
        self.got: list[str] = []

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        step = self.script.pop(0) if self.script else len(jobs)
        if isinstance(step, Exception):
            raise step
        accepted = min(step, len(jobs))
        self.got += [job.payload.decode() for job in jobs[:accepted]]
        return accepted


def queue_on(broker: Broker) -> Queue:
    queue = Queue.connect("memory://")
    queue._broker = broker  # type: ignore[assignment]
    return queue


def specs(count: int, *, ids: bool = False) -> list[JobSpec]:
    return [JobSpec("t", number, job_id=str(number) if ids else "") for number in range(count)]


@pytest.mark.parametrize("delay", [float("inf"), float("nan")])
async def test_a_delay_without_an_end_is_refused(delay: float) -> None:
    with pytest.raises(ConfigurationError, match="delay"):
        await queue_on(Broker()).enqueue("t", delay=delay)


async def test_a_bound_below_zero_is_refused() -> None:
    """Brokers would read it as no room, or as no bound."""
    with pytest.raises(ConfigurationError, match="max_depth"):
        await queue_on(Broker()).enqueue("t", max_depth=-1)


async def test_what_found_no_room_is_put_once_there_is_some() -> None:
    broker = Broker(2, 0, 1)
    await queue_on(broker).enqueue_many(specs(5), max_depth=2)
    assert broker.got == ["0", "1", "2", "3", "4"]


async def test_a_full_queue_raises_at_once_when_told_so() -> None:
    with pytest.raises(QueueFull) as caught:
        await queue_on(Broker(2)).enqueue_many(specs(5), max_depth=2, on_full="raise")
    assert caught.value.enqueued == 2


@pytest.mark.looptime
async def test_a_full_queue_raises_when_the_time_is_over() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(QueueFull) as caught:
        await queue_on(Broker(3, *[0] * 99)).enqueue_many(specs(5), max_depth=3, timeout=0.2)
    assert caught.value.enqueued == 3
    assert 0.15 <= loop.time() - began < 5


async def test_a_broker_that_is_away_is_tried_again_only_where_that_is_safe() -> None:
    away = BrokerUnavailable("away")
    broker = Broker(away, away)
    await queue_on(broker).enqueue_many(specs(2, ids=True))
    assert broker.got == ["0", "1"]
    broker = Broker(away)
    with pytest.raises(BrokerUnavailable):
        await queue_on(broker).enqueue_many(specs(2))
    assert broker.got == []


async def test_where_duplicates_are_not_dropped_nothing_is_put_twice() -> None:
    broker = Broker(BrokerUnavailable("away"))
    broker.capabilities = replace(CAPABILITIES, deduplicate=False)
    with pytest.raises(BrokerUnavailable):
        await queue_on(broker).enqueue_many(specs(2, ids=True))
    assert broker.got == []


async def test_a_broker_that_stays_away_is_an_error_in_the_end() -> None:
    with pytest.raises(BrokerUnavailable):
        await queue_on(Broker(*[BrokerUnavailable("away")] * 99)).enqueue_many(specs(1, ids=True), timeout=0.1)


@pytest.mark.parametrize("payload", [{1, 2}, float("nan"), "\ud800", b"bytes", "x" * (1024 * 1024)])
async def test_a_payload_that_is_not_json_or_too_large_is_refused_before_anything_is_put(payload: object) -> None:
    broker = Broker()
    with pytest.raises(PayloadInvalid):
        await queue_on(broker).enqueue_many([JobSpec("t", 1), JobSpec("t", payload)])
    assert broker.got == []


async def test_a_job_needs_a_type() -> None:
    with pytest.raises(ConfigurationError):
        await queue_on(Broker()).enqueue("")


async def test_no_jobs_are_no_call() -> None:
    broker = Broker(BrokerUnavailable("away"))
    await queue_on(broker).enqueue_many([])


class TestRateLimit:
    """A producer's own limit, in a time that is played."""

    pytestmark = pytest.mark.looptime

    def limited(self, rate: float, broker: Broker) -> Queue:
        queue = Queue.connect("memory://", rate_limit=rate)
        queue._broker = broker  # type: ignore[assignment]
        return queue

    async def test_jobs_are_spread_evenly_after_the_first_second(self) -> None:
        loop, broker = asyncio.get_running_loop(), Broker()
        queue = self.limited(10.0, broker)
        began, times = loop.time(), list[float]()
        for number in range(50):
            await queue.enqueue("t", number, timeout=60)
            times.append(loop.time() - began)
        assert times[:10] == [0.0] * 10, "one second's worth"
        assert times[10:] == pytest.approx([(n - 9) / 10 for n in range(10, 50)])

    async def test_one_that_was_idle_for_long_catches_up_on_a_second_and_no_more(self) -> None:
        loop, broker = asyncio.get_running_loop(), Broker()
        queue = self.limited(10.0, broker)
        await queue.enqueue_many(specs(10))
        await asyncio.sleep(3600)
        began = loop.time()
        await queue.enqueue_many(specs(20), timeout=60)
        assert loop.time() - began == pytest.approx(1.0, abs=0.06)

    async def test_many_together_keep_the_rate_and_their_order(self) -> None:
        loop, broker = asyncio.get_running_loop(), Broker()
        queue = self.limited(100.0, broker)
        began = loop.time()
        await asyncio.gather(*(queue.enqueue("t", number, timeout=60) for number in range(500)))
        assert loop.time() - began == pytest.approx(4.0, abs=0.06)
        assert broker.got == [str(number) for number in range(500)]

    async def test_a_slow_rate_lets_one_go_at_a_time(self) -> None:
        loop, broker = asyncio.get_running_loop(), Broker()
        queue = self.limited(0.1, broker)
        await queue.enqueue("t", 0)
        began = loop.time()
        await queue.enqueue("t", 1, timeout=60)
        assert loop.time() - began == pytest.approx(10.0)

    async def test_who_would_wait_too_long_is_told_at_once_and_what_to_do(self) -> None:
        loop, broker = asyncio.get_running_loop(), Broker()
        queue = self.limited(10.0, broker)
        began = loop.time()
        with pytest.raises(RateLimited, match=r"rate_limit=10 .*timeout=") as caught:
            await queue.enqueue_many(specs(100), timeout=2.0)
        assert caught.value.enqueued == len(broker.got)
        assert 28 <= len(broker.got) <= 31
        assert loop.time() - began <= 2.0
        with pytest.raises(RateLimited):
            await queue.enqueue("t", 1, on_full="raise")

    async def test_turns_are_kept_while_the_queue_is_full(self) -> None:
        broker = Broker(3, 0, 0, 99)
        await self.limited(10.0, broker).enqueue_many(specs(8), max_depth=3)
        assert broker.got == [str(number) for number in range(8)]

    def test_a_rate_is_a_number_above_zero(self) -> None:
        with pytest.raises(ConfigurationError, match="above 0"):
            Queue.connect("memory://", rate_limit=0)
        env = {"QUEUE_MAIN_URL": "redis://r", "QUEUE_MAIN_STREAM": "s", "QUEUE_MAIN_RATE_LIMIT": "2.5"}
        assert Queue.from_env(env=env).source.rate_limit == 2.5
        with pytest.raises(ConfigurationError, match="QUEUE_MAIN_RATE_LIMIT"):
            Queue.from_env(env=env | {"QUEUE_MAIN_RATE_LIMIT": "fast"})


@pytest.mark.parametrize(("expires_in", "delay"), [(0.0, 0.0), (-1.0, 0.0), (5.0, 5.0), (float("inf"), 0.0)])
async def test_a_job_that_could_never_run_is_refused(expires_in: float, delay: float) -> None:
    with pytest.raises(ConfigurationError, match="expires_in"):
        await queue_on(Broker()).enqueue("t", expires_in=expires_in, delay=delay)


@pytest.mark.parametrize(
    ("url", "stream", "beside"),
    [
        ("redis://r/0", "jobs", ("redis://r/0", "jobs-results", "")),
        ("nats://n", "jobs", ("nats://n", "jobs-results", "")),
        ("kafka://k", "jobs", ("kafka://k", "jobs-results", "")),
        ("sqlite:///a/jobs.db", "", ("sqlite:///a/jobs.db-results", "", "g")),
        ("sqlite:///jobs.db?x=1", "", ("sqlite:///jobs.db-results?x=1", "", "g")),
    ],
)
def test_a_queue_beside_is_on_the_same_broker(url: str, stream: str, beside: tuple[str, str, str]) -> None:
    """With the same credentials, a group of its own, and no limit of rate."""
    credentials = Credentials(ca_file=Path("ca.crt"))
    queue = Queue.connect(url, stream=stream, group="g", credentials=credentials, rate_limit=5)
    source = queue.beside("results").source
    assert (source.url, source.stream, source.group) == beside
    assert (source.credentials, source.rate_limit, source.name) == (credentials, None, "main-results")


def test_in_memory_there_is_no_queue_beside() -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        Queue.connect("memory://").beside("results")
