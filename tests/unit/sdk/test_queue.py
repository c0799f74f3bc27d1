"""The producer's side, on a broker that has no room or is away."""

import asyncio
from collections.abc import Sequence

import pytest

from workerpool import BrokerUnavailable, ConfigurationError, JobSpec, PayloadInvalid, Queue, QueueFull
from workerpool.broker import NewJob


class Broker:
    """Accepts by a script: a number of jobs, or an error."""

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


async def test_what_found_no_room_is_put_once_there_is_some() -> None:
    broker = Broker(2, 0, 1)
    await queue_on(broker).enqueue_many(specs(5), max_depth=2)
    assert broker.got == ["0", "1", "2", "3", "4"]


async def test_a_full_queue_raises_at_once_when_told_so() -> None:
    with pytest.raises(QueueFull) as caught:
        await queue_on(Broker(2)).enqueue_many(specs(5), max_depth=2, on_full="raise")
    assert caught.value.enqueued == 2


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
