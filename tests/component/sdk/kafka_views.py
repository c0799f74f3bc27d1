"""Views of a queue in Kafka, and what tests do with them."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from tests.support.kafka import KafkaServer, make_topic
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Credentials, NewJob, Taken
from workerpool.broker._kafka import KafkaBroker
from workerpool.errors import BrokerUnavailable

Open = Callable[..., KafkaBroker]


@pytest_asyncio.fixture
async def open_kafka() -> AsyncIterator[Open]:
    """Opens a view of a queue, closed after the test."""
    opened: list[KafkaBroker] = []

    def open_one(
        url: str,
        *,
        topic: str = "jobs",
        group: str = "g",
        timeout: float = 5.0,
        lease: float = 6.0,
        credentials: Credentials | None = None,
    ) -> KafkaBroker:
        broker = brokers.connect(
            url, stream=topic, group=group, timeout=timeout, lease_seconds=lease, credentials=credentials
        )
        assert isinstance(broker, KafkaBroker)
        opened.append(broker)
        return broker

    yield open_one
    for broker in opened:
        await broker.close()


async def new_topic(server: KafkaServer, *, partitions: int = 1) -> str:
    """The name of a topic that no other test uses."""
    name = f"jobs-{secrets.token_hex(4)}"
    await make_topic(server.url, name, partitions=partitions)
    return name


def jobs(count: int) -> list[NewJob]:
    return [NewJob(type="t", payload=str(number).encode()) for number in range(count)]


async def take(broker: KafkaBroker, count: int, *, seconds: float = 40.0) -> list[Taken]:
    """So many jobs, however long Kafka is away or has nothing for us until then."""
    found: list[Taken] = []

    async def enough() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            found.extend(await broker.take(limit=count - len(found), wait=0.2))
        return len(found) == count

    await until(enough, what=f"{count} jobs", seconds=seconds)
    return found


def login(folder: Path, username: str, password: str, *, ca: Path | None = None) -> Credentials:
    (folder / "username").write_text(username)
    (folder / "password").write_text(password)
    return Credentials(username_file=folder / "username", password_file=folder / "password", ca_file=ca)
