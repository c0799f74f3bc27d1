"""A queue in a file, and a machine whose clock is set back."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from workerpool import broker as brokers
from workerpool.broker import Broker, NewJob, Retry

pytestmark = pytest.mark.component

HOUR = 3600.0


@pytest_asyncio.fixture
async def another(tmp_path: Path) -> AsyncIterator[Callable[[], Broker]]:
    opened: list[Broker] = []

    def open_one() -> Broker:
        opened.append(brokers.connect(f"sqlite:///{tmp_path}/jobs.db", lease_seconds=60))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets it by so many seconds; it stands still."""
    now = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def named(*names: str, delay: float = 0.0) -> list[NewJob]:
    return [NewJob("t", b"", job_id=name, delay=delay) for name in names]


async def names(broker: Broker) -> list[str]:
    return [job.job_id for job in await broker.take(limit=9, wait=0.0)]


async def test_what_waits_is_taken_and_what_is_delayed_waits_on(
    another: Callable[[], Broker], clock: Callable[[float], None]
) -> None:
    producer, consumer = another(), another()
    await producer.put([*named("a", "b"), *named("later", delay=100)])
    clock(-HOUR)
    assert await names(consumer) == ["a", "b"]
    depth = await consumer.depth()
    assert (depth.in_flight, depth.delayed) == (2, 1)
    clock(99)
    assert "later" not in await names(another())
    clock(1)
    assert await names(consumer) == ["later"]


async def test_leases_hold_and_end_as_before(another: Callable[[], Broker], clock: Callable[[float], None]) -> None:
    one, other = another(), another()
    await one.put(named("extended", "left"))
    extended, left = await one.take(limit=2, wait=0.0)
    await one.maintain()
    clock(-HOUR)
    assert await one.extend([extended]) == frozenset()
    clock(50)
    assert await names(other) == []
    assert await one.extend([extended]) == frozenset()
    clock(20)
    assert await names(other) == ["left"]
    assert await one.ack([extended, left]) == {left.token}


async def test_a_retry_comes_when_it_was_to(another: Callable[[], Broker], clock: Callable[[float], None]) -> None:
    broker = another()
    await broker.put(named("again"))
    [job] = await broker.take(limit=1, wait=0.0)
    clock(-HOUR)
    await broker.retry_later([Retry(job, 10.0)])
    clock(9)
    assert await names(broker) == []
    clock(1)
    assert await names(broker) == ["again"]
