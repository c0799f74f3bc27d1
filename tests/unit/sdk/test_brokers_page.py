"""The page that compares the brokers says what the code declares."""

from dataclasses import asdict
from pathlib import Path

from workerpool.broker import _connect, _memory
from workerpool.broker._kafka import capabilities as kafka
from workerpool.broker._nats import capabilities as nats
from workerpool.broker._postgres import broker as postgres
from workerpool.broker._rabbitmq import capabilities as rabbitmq
from workerpool.broker._redis import capabilities as redis
from workerpool.broker._sqlite import broker as sqlite
from workerpool_operator.api.brokers import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "brokers.md"
DECLARED = {
    "memory": _memory.CAPABILITIES,
    "SQLite": sqlite.CAPABILITIES,
    "Redis Streams": redis.CAPABILITIES,
    "NATS JetStream": nats.CAPABILITIES,
    "RabbitMQ": rabbitmq.CAPABILITIES,
    "PostgreSQL": postgres.CAPABILITIES,
    "Kafka": kafka.CAPABILITIES,
}


def table() -> list[list[str]]:
    """The cells of the first table."""
    lines = PAGE.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| Capability"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_broker_of_the_sdk_is_on_it() -> None:
    assert len(DECLARED) == len({kind.system for kind in _connect.KINDS.values()})


def test_every_capability_of_every_broker_is_told_as_it_is_declared() -> None:
    head, _, *rows = table()
    assert head[1:-1] == list(DECLARED)
    told = {row[0].strip("`"): row[1:-1] for row in rows}
    columns = [asdict(capabilities) for capabilities in DECLARED.values()]
    assert told == {name: ["yes" if column[name] else "-" for column in columns] for name in columns[0]}


def test_every_kind_of_the_resource_is_named() -> None:
    assert not [kind for kind in KINDS if f"`{kind}`" not in PAGE.read_text()]
