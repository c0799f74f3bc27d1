"""A queue of each broker, and what the tests of all brokers put into it, take and count."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.kafka import make_topic
from tests.support.rabbitmq import wait_for_dead_letters
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Broker, NewJob, Taken
from workerpool.broker._memory_store import MemoryStore

LEASE = 0.4
"""Of tests that wait for its end."""
PATIENT = 6.0
"""A lease that goes on while this machine stands still."""
_LEASES = {"nats": PATIENT, "rabbitmq": 60.0, "kafka": 60.0}
"""JetStream's begins when a job is sent, and who reads that late gets it as another attempt; RabbitMQ and Kafka take
for dead who is silent for so long. With the others it runs out for nobody but another consumer that takes.
"""
Open = Callable[..., Broker]


@pytest_asyncio.fixture(
    params=[
        "memory",
        "sqlite",
        "redis",
        "nats",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
async def another(
    request: pytest.FixtureRequest, tmp_path: Path, redis_stream: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    """Opens one more view of the same queue: another consumer, producer or observer.

    Of a broker that can do what the test needs (`@needs`); the others are skipped.
    """
    opened: list[Broker] = []
    store = MemoryStore()
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/jobs.db"}
    kind: str = request.param
    url = urls.get(kind) or request.getfixturevalue(f"{kind}_server").url
    if kind == "kafka":
        await make_topic(url, redis_stream)
    if kind == "rabbitmq":
        wait_for_dead_letters(monkeypatch)

    usual = _LEASES.get(kind, LEASE)

    def open_one(*, lease: float = usual) -> Broker:
        one = brokers.connect(url, stream=redis_stream, group="g", lease_seconds=lease, store=store, timeout=30)
        opened.append(one)
        return one

    needed = [name for marker in request.node.iter_markers("needs") for name in marker.args]
    if missing := [name for name in needed if not getattr(open_one().capabilities, name)]:
        pytest.skip(f"{request.param} does without {', '.join(missing)}")
    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def broker(another: Open) -> Broker:
    """A queue that nobody has used yet."""
    return another()


def jobs(count: int) -> list[NewJob]:
    return [NewJob(type="t", payload=str(number).encode()) for number in range(count)]


async def take(broker: Broker, limit: int, *, seconds: float = 60.0) -> list[Taken]:
    """Exactly `limit` jobs."""
    found: list[Taken] = []

    async def enough() -> bool:
        await broker.maintain()
        found.extend(await broker.take(limit=limit - len(found), wait=0.1))
        return len(found) == limit

    await until(enough, what=f"{limit} jobs", seconds=seconds)
    return found


async def counts(broker: Broker) -> tuple[int, int, int]:
    depth = await broker.depth()
    return depth.waiting, depth.in_flight or 0, depth.delayed or 0


def told(broker: Broker, waiting: int, in_flight: int, delayed: int) -> tuple[int, int, int]:
    """What `counts` is to be. Who cannot tell the jobs in flight cannot tell the delayed ones either.

    Where nothing is delayed but what is tried again, that counts as waiting: it has to be done by a worker that runs.
    """
    can = broker.capabilities
    if not can.delay:
        waiting, delayed = waiting + delayed, 0
    return (waiting, in_flight, delayed) if can.in_flight else (waiting, 0, 0)


async def assert_arrived(broker: Broker, count: int) -> None:
    """So many jobs have come so far, where the broker counts them."""
    assert (await broker.depth()).arrivals_total == (count if broker.capabilities.arrivals else None)


async def shows(broker: Broker, expected: tuple[int, int, int]) -> bool:
    """Whether it has this many jobs waiting, in flight and delayed."""
    return await counts(broker) == told(broker, *expected)
