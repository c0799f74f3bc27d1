"""The other brokers, on this machine, where pods of the local provider reach them, with a user for workers.

Unlike Redis they have no image of the tests: one with a PostgreSQL, an Erlang or a Java in it takes longer to build
than all tests take. The queue is the one of the pool in `examples/brokers`, with another address.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from e2e.support.images import ROOT
from e2e.support.kafka_server import KafkaServer, make_topic
from e2e.support.kubectl import Json
from e2e.support.nats_server import NatsServer
from e2e.support.postgres_server import PostgresServer
from e2e.support.rabbitmq_server import RabbitServer

USER: Final = "worker"
_PARTITIONS: Final = 12


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that runs."""

    url: str
    """As pods and this machine reach it, without a user."""
    password: str

    @property
    def url_with_user(self) -> str:
        """For who has no files with credentials."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{USER}:{self.password}@{parts.netloc}").geturl()


@contextmanager
def _postgres(folder: Path, host: str, password: str) -> Iterator[str]:
    hba = "local all all trust\nhost all test 127.0.0.1/32 trust\nhost all all all scram-sha-256\n"
    with PostgresServer(folder / "server", {"listen_addresses": f"127.0.0.1,{host}"}, hba=hba) as server:
        server.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{password}'")
        server.sql(f"CREATE DATABASE jobs OWNER {USER}")
        yield f"postgresql://{host}:{server.port}/jobs?sslmode=disable"


@contextmanager
def _rabbitmq(folder: Path, host: str, password: str) -> Iterator[str]:
    server = RabbitServer(folder / "server")
    server.listen_also(host)
    server.allow(USER, password)
    with server:
        yield f"amqp://{host}:{server.port}/"


@contextmanager
def _nats(folder: Path, host: str, password: str) -> Iterator[str]:
    settings = f"authorization {{ user: {USER}, password: {password} }}"
    with NatsServer(folder / "server", settings=settings, host=host) as server:
        yield server.url


@contextmanager
def _kafka(folder: Path, host: str, password: str) -> Iterator[str]:
    with KafkaServer(folder / "server", users={USER: password}, host=host) as server:
        _, topic = queue_of("kafka", url=server.url)
        served = Served(url=server.url, password=password)
        asyncio.run(make_topic(served.url_with_user, topic, partitions=_PARTITIONS))
        yield server.url


SERVERS: Final[Mapping[str, Callable[[Path, str, str], AbstractContextManager[str]]]] = {
    "postgres": _postgres,
    "rabbitmq": _rabbitmq,
    "nats": _nats,
    "kafka": _kafka,
}


@contextmanager
def serving(kind: str, host: str) -> Iterator[Served]:
    """Run a server of this kind, on this address of the machine, which wants to know who its users are."""
    password = secrets.token_hex(8)
    # PostgreSQL's user may not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix=f"e2e-{kind}-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with SERVERS[kind](folder, host, password) as url:
            yield Served(url=url, password=password)


def queue_of(kind: str, *, url: str) -> tuple[Json, str]:
    """The queue of the pool in `examples/brokers`, at another address; and its name in the broker."""
    documents = yaml.safe_load_all((ROOT / "examples" / "brokers" / f"{kind}.yaml").read_text())
    [pool] = [document for document in documents if document["kind"] == "WorkerPool"]
    queue: dict[str, Any] = pool["spec"]["queues"][0]
    [broker] = queue.keys() - {"name", "credentials"}
    queue[broker]["url"] = url
    [name] = [value for field, value in queue[broker].items() if field in {"queue", "stream", "topic"}]
    return queue, name
