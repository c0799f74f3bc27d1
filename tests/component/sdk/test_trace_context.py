"""Whose trace a job belongs to goes with it, on every broker and whatever happens to it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.component.sdk.conformance import LEASE, Open, another, assert_arrived, broker, counts, take, told
from tests.support.redis import RedisServer
from workerpool import broker as brokers
from workerpool.broker import Broker, DeadJobs, DeadLetter, DeathReason, NewJob, Priority, Retry, Taken, TraceContext

pytestmark = pytest.mark.component
TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61rcWkgMzE,rojo=1")
BARE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")

__all__ = ["another", "broker"]  # fixtures


def traced(**fields: object) -> NewJob:
    return NewJob(type="t", payload=b"0", trace=TRACE, **fields)  # type: ignore[arg-type]


async def retried(broker: Broker, job: Taken) -> None:
    await broker.retry_later([Retry(job, 0.0)])


async def handed_back(broker: Broker, job: Taken) -> None:
    await broker.hand_back([job])


async def redriven(broker: Broker, job: Taken) -> None:
    await broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
    assert [dead.trace for dead in await broker.dead_letters(limit=9)] == [TRACE]
    await broker.redrive(DeadJobs())


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"job_id": "a"},
        pytest.param({"delay": 0.01}, marks=pytest.mark.needs("delay")),
        pytest.param(
            {"tenant": "acme", "priority": Priority.HIGH, "ordering_key": "k"},
            marks=pytest.mark.needs("priority", "ordering"),
        ),
    ],
    ids=lambda wishes: ",".join(wishes) or "plain",
)
@pytest.mark.parametrize("fate", [retried, handed_back, redriven])
async def test_it_is_kept_over_every_fate(
    broker: Broker, wishes: dict[str, object], fate: Callable[[Broker, Taken], Awaitable[None]]
) -> None:
    await broker.put([traced(**wishes)])
    [first] = await take(broker, 1)
    assert first.trace == TRACE
    await fate(broker, first)
    [again] = await take(broker, 1)
    assert (again.trace, again.job_id, again.malformed) == (TRACE, first.job_id, "")


@pytest.mark.needs("extend")
async def test_who_takes_a_job_over_from_the_dead_has_it(another: Open) -> None:
    await another().put([traced()])
    await take(another(), 1)
    await asyncio.sleep(LEASE)
    [again] = await take(another(), 1)
    assert (again.redelivered, again.trace) == (True, TRACE)


async def test_with_and_without_go_side_by_side(broker: Broker) -> None:
    await broker.put([NewJob(type="t", payload=b"0"), NewJob(type="t", payload=b"1", trace=BARE), traced()])
    assert [job.trace for job in await take(broker, 3)] == [None, BARE, TRACE]
    await assert_arrived(broker, 3)
    assert await counts(broker) == told(broker, 0, 3, 0)


async def test_a_traced_job_asks_for_no_order(redis_server: RedisServer, redis_stream: str) -> None:
    """Else one producer with tracing would slow down the whole queue."""
    broker = brokers.connect(redis_server.url, stream=redis_stream, group="g")
    await broker.put([traced(), traced(job_id="a")])
    with redis_server.client() as redis:
        assert redis.hget("{" + redis_stream + "}:stats", "ordered") is None
    assert [job.plain for job in await take(broker, 2)] == [True, True]
    await broker.close()


async def test_a_file_of_an_earlier_version_can_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("""
            CREATE TABLE jobs (serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, type TEXT NOT NULL,
                payload BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, owner TEXT,
                lease_until REAL, checkpoint BLOB NOT NULL DEFAULT x'', tenant TEXT NOT NULL DEFAULT '',
                priority TEXT NOT NULL DEFAULT 'normal', key TEXT NOT NULL DEFAULT '', tag REAL);
            INSERT INTO jobs (id, type, payload, due) VALUES ('old', 't', x'30', 0);
        """)
    broker = brokers.connect(f"sqlite:///{path}")
    await broker.put([traced()])
    assert [(job.job_id == "old", job.trace) for job in await take(broker, 2)] == [(True, None), (False, TRACE)]
    await broker.close()
