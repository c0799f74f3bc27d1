"""The brokers that the storm is let loose on. Another one is a class and a line in BROKERS; the driver stays."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from e2e.support.kafka_server import KafkaServer, make_topic
from e2e.support.nats_server import NatsServer
from e2e.support.postgres_server import PostgresServer
from e2e.support.rabbitmq_server import RabbitServer
from e2e.support.redis_server import RedisServer

_PARTITIONS: Final = 16


class Broker(Protocol):
    """A broker of our own on this machine."""

    @property
    def env(self) -> Mapping[str, str]:
        """Where its queue is, as workers and producers are told: `QUEUE_MAIN_URL` and what belongs to it."""
        ...

    @property
    def restarts(self) -> int:
        """How often it is to be killed and started again: 0 where there is no process to kill."""
        ...

    def restart(self) -> None:
        """End it by SIGKILL and start it again on the same files."""
        ...


class _Server(Protocol):
    @property
    def url(self) -> str: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...


class _Served:
    """A queue in a server of our own."""

    restarts = 1

    def __init__(self, server: _Server, *, named_by: str) -> None:
        """`named_by`: what tells workers the queue's name, see the worker contract."""
        self._server = server
        self.env = {"QUEUE_MAIN_URL": server.url, f"QUEUE_MAIN_{named_by}": "storm"}

    def restart(self) -> None:
        self._server.kill()
        self._server.start()


@contextmanager
def redis(folder: Path) -> Iterator[Broker]:
    """A Redis that has every write on the disk before it answers.

    So what a client was told of is there after a kill, and would be after a power cut. With `appendfsync everysec`
    neither is certain: while a sync of the second before goes on, Redis answers writes that it has only in memory, for
    up to 2 s (`flushAppendOnlyFile` in its `aof.c`).
    """
    with RedisServer(folder / "redis", options={"appendfsync": "always"}) as server:
        yield _Served(server, named_by="STREAM")


@contextmanager
def nats(folder: Path) -> Iterator[Broker]:
    """A NATS that has every message on the disk before it answers, as it would have to after a power cut."""
    with NatsServer(folder / "nats", jetstream="sync_interval: always") as server:
        yield _Served(server, named_by="STREAM")


class _Sqlite:
    restarts = 0

    def __init__(self, path: Path) -> None:
        self.env = {"QUEUE_MAIN_URL": f"sqlite:///{path}"}

    def restart(self) -> None:
        """There is no process to kill: each worker is its own broker."""


@contextmanager
def sqlite(folder: Path) -> Iterator[Broker]:
    """A queue in a file, which all workers open."""
    yield _Sqlite(folder / "jobs.db")


@contextmanager
def postgres(_: Path) -> Iterator[Broker]:
    """A PostgreSQL that has every commit on the disk before it answers, but for those that give jobs out."""
    # Not below the storm's own folder, which PostgreSQL's user may not enter.
    with tempfile.TemporaryDirectory(prefix="storm-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with PostgresServer(folder / "server", {"fsync": "on"}) as server:
            yield _Served(server, named_by="QUEUE")


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Broker]:
    """A RabbitMQ of one node, which syncs the log of a quorum queue before it confirms."""
    with RabbitServer(folder / "rabbitmq") as server:
        yield _Served(server, named_by="QUEUE")


@contextmanager
def kafka(folder: Path) -> Iterator[Broker]:
    """A Kafka of one server, which has records in its files when it answers, and syncs them when the system does.

    A kill takes nothing of that; against a power cut Kafka has its replicas. Its consumers are given a topic with more
    partitions than workers run.
    """
    with KafkaServer(folder / "kafka") as server, ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, make_topic(server.url, "storm", partitions=_PARTITIONS)).result()
        yield _Served(server, named_by="TOPIC")


BROKERS: Final[Mapping[str, Callable[[Path], AbstractContextManager[Broker]]]] = {
    "redis": redis,
    "nats": nats,
    "sqlite": sqlite,
    "postgres": postgres,
    "rabbitmq": rabbitmq,
    "kafka": kafka,
}
