"""The tables of an older version are brought forward, while programs of both versions are at work on them."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from tests.component.sdk.conftest import OpenPostgres
from tests.component.sdk.postgres_versions.old_worker import TABLES, OldWorker
from tests.support.postgres import PostgresServer
from tests.support.waiting import until
from workerpool.broker import NewJob
from workerpool.broker._postgres import PostgresBroker, home, schema
from workerpool.errors import BrokerUnavailable, QueueNotFound, SchemaMismatch

pytestmark = [pytest.mark.component, pytest.mark.postgres]

JOB = NewJob(type="t", payload=b"1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    if not PostgresServer.is_there():
        pytest.skip("there is no PostgreSQL server on this machine")
    folder = tmp_path_factory.mktemp("postgres")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)
    with PostgresServer(folder / "server") as one:
        one.sql("CREATE ROLE worker LOGIN")
        yield one


@pytest.fixture
def old(server: PostgresServer) -> PostgresServer:
    """With the tables as version 1 made them."""
    server.sql("DROP SCHEMA IF EXISTS workerpool CASCADE")
    server.sql(TABLES)
    return server


@pytest.fixture
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds the tables in use does not wait before another attempt."""
    monkeypatch.setattr(home, "_AGAIN_SECONDS", 0.0)


async def brought_forward(broker: PostgresBroker) -> bool:
    """Where this machine stands still meanwhile, that looks like somebody's long transaction: one tries again."""
    with contextlib.suppress(BrokerUnavailable):
        await broker.maintain()
        return True
    return False


@pytest_asyncio.fixture
async def old_worker(old: PostgresServer) -> AsyncIterator[OldWorker]:
    worker = await OldWorker.begin(old.address, "q")
    yield worker
    await worker.close()


def versions(server: PostgresServer) -> list[tuple[object, ...]]:
    return server.sql("SELECT version FROM workerpool.schema_version")


async def test_the_first_who_puts_or_takes_brings_older_tables_forward_with_what_is_in_them(
    connect: OpenPostgres, old: PostgresServer, old_worker: OldWorker
) -> None:
    await old_worker.put(b"1", b"2", b"3")
    [running] = await old_worker.take(1)
    broker = connect(old.url)
    assert [job.payload for job in await broker.take(limit=9, wait=0)] == [b"2", b"3"]
    assert versions(old) == [(schema.VERSION,)]
    assert await old_worker.ack(running), "what an old worker runs stays its own"
    assert (await broker.depth()).in_flight == 2


async def test_an_old_worker_can_use_the_new_tables_with_all_that_it_has(
    connect: OpenPostgres, old: PostgresServer, old_worker: OldWorker
) -> None:
    """With what it prepared before, and after a restart of its own, as it happens in a rollback."""
    assert await old_worker.use_everything() == 3
    await connect(old.url).put([JOB])
    assert await old_worker.use_everything() == 3 + 1 + 3
    again = await OldWorker.begin(old.address, "q")
    assert await again.use_everything() == 3 + 1 + 3 + 3
    await again.close()


@pytest.mark.usefixtures("soon_again")
async def test_no_job_is_lost_or_doubled_while_the_tables_change_below_workers_at_work(
    connect: OpenPostgres, old: PostgresServer, old_worker: OldWorker
) -> None:
    total = 600
    await old_worker.put(*(str(number).encode() for number in range(total)))
    done: list[bytes] = []
    changed = asyncio.Event()

    async def work_as_old() -> None:
        while found := await old_worker.take(3):
            for job in found:
                assert await old_worker.ack(job)
                done.append(job[2])
            if len(done) >= total // 4:
                changed.set()

    async def work_as_new(broker: PostgresBroker) -> None:
        await changed.wait()
        await until(partial(brought_forward, broker), what="the tables brought forward")
        while found := await broker.take(limit=3, wait=0):
            assert await broker.ack(found) == frozenset()
            done.extend(job.payload for job in found)

    await asyncio.gather(work_as_old(), *(work_as_new(connect(old.url)) for _ in range(4)))
    assert sorted(map(int, done)) == list(range(total))
    assert versions(old) == [(schema.VERSION,)]


@pytest.mark.usefixtures("soon_again")
async def test_many_who_start_at_once_bring_them_forward_once(connect: OpenPostgres, old: PostgresServer) -> None:
    everyone = [connect(old.url) for _ in range(8)]
    looks = (until(partial(brought_forward, one), what="the tables brought forward") for one in everyone)
    await asyncio.gather(*looks)
    assert await asyncio.gather(*(one.put([JOB]) for one in everyone)) == [1] * 8
    assert (await everyone[0].depth()).waiting == 8


@pytest.mark.usefixtures("soon_again")
async def test_a_long_transaction_delays_the_change_and_holds_up_nobody(
    connect: OpenPostgres, old: PostgresServer, old_worker: OldWorker
) -> None:
    """Such as a backup, which looks at all tables for hours."""
    broker = connect(old.url)
    with psycopg.connect(old.address) as backup:
        backup.execute("SELECT * FROM workerpool.schema_version, workerpool.jobs")
        with pytest.raises(BrokerUnavailable, match=r"version 1, and version .* is needed; .*long transaction"):
            await broker.put([JOB])
        assert await old_worker.use_everything() == 3
    assert await broker.put([JOB]) == 1
    assert versions(old) == [(schema.VERSION,)]


async def test_who_found_the_tables_in_use_lets_others_work_before_another_attempt(
    connect: OpenPostgres, old: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_AGAIN_SECONDS", 600.0)
    broker = connect(old.url)
    with psycopg.connect(old.address) as backup:
        backup.execute("SELECT * FROM workerpool.schema_version")
        for text in ("long transaction", "another attempt follows"):
            with pytest.raises(BrokerUnavailable, match=text):
                await broker.put([JOB])
    with pytest.raises(BrokerUnavailable, match="another attempt follows"):
        await broker.put([JOB])


def change_by_hand(server: PostgresServer) -> None:
    command = [sys.executable, "-m", "workerpool.postgres_schema"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", server.address], input=printed, text=True, check=True)


async def test_a_worker_that_may_not_change_them_is_told_who_may_and_how(
    connect: OpenPostgres, old: PostgresServer
) -> None:
    old.sql("GRANT USAGE ON SCHEMA workerpool TO worker")
    old.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA workerpool TO worker")
    worker = connect(old.url.replace("test@", "worker@"))
    with pytest.raises(SchemaMismatch, match=r"may not change them; let its owner run .*postgres_schema"):
        await worker.put([JOB])
    assert versions(old) == [(1,)], "all or nothing"
    for _ in range(2):
        await asyncio.to_thread(change_by_hand, old)
    assert await worker.put([JOB]) == 1


async def test_newer_tables_are_used_as_they_are(connect: OpenPostgres, old: PostgresServer) -> None:
    """Also by who was asked to make them, and came too late."""
    old.sql(schema.text())
    newer = "CREATE OR REPLACE FUNCTION workerpool.maintain(queue_ int, limits_ text) RETURNS void LANGUAGE sql AS ''"
    old.sql(newer)
    old.sql(f"UPDATE workerpool.schema_version SET version = {schema.VERSION + 1}")
    assert await connect(old.url).put([JOB]) == 1
    old.sql(schema.text())
    assert old.sql("SELECT prosrc FROM pg_proc WHERE proname = 'maintain'") == [("",)]
    assert versions(old) == [(schema.VERSION + 1,)]


async def test_tables_that_are_too_new_are_left_alone(connect: OpenPostgres, old: PostgresServer) -> None:
    """Also by who was at work when they came: a function that it calls is gone then."""
    at_work, late = connect(old.url), connect(old.url)
    await at_work.put([JOB])
    old.sql(f"UPDATE workerpool.schema_version SET version = 9, oldest = {schema.VERSION + 1}")
    with pytest.raises(SchemaMismatch, match="use a newer version of the package"):
        await late.put([JOB])
    old.sql("ALTER FUNCTION workerpool.take RENAME TO take_9")
    old.sql("ALTER FUNCTION workerpool.depth RENAME TO depth_9")
    with pytest.raises(QueueNotFound):
        await at_work.take(limit=1, wait=0)
    for call in (at_work.take(limit=1, wait=0), at_work.depth(), late.depth()):
        with pytest.raises(SchemaMismatch, match="use a newer version of the package"):
            await call


async def test_who_only_reads_can_read_the_tables_of_the_version_before(
    connect: OpenPostgres, old: PostgresServer, old_worker: OldWorker
) -> None:
    """A collector is often ahead of the workers."""
    await old_worker.put(b"1", b"2")
    assert (await connect(old.url).depth()).waiting == 2
    assert versions(old) == [(1,)], "and changes nothing"


async def test_who_cannot_read_older_tables_says_so_and_not_that_there_are_no_jobs(
    connect: OpenPostgres, old: PostgresServer, old_worker: OldWorker
) -> None:
    await old_worker.put(b"1")
    old.sql("ALTER FUNCTION workerpool.depth RENAME TO depth_of_old")
    reader = connect(old.url)
    with pytest.raises(SchemaMismatch, match=r"version 1, and version .* is needed to read them"):
        await reader.depth()
    old.sql("DROP SCHEMA workerpool CASCADE")

    async def read() -> bool:
        with contextlib.suppress(QueueNotFound):
            return (await reader.depth()).waiting == 0
        return False

    await until(read, what="a depth of nothing")


def test_each_step_of_the_tables_is_there_and_nothing_else() -> None:
    folder = Path(schema.__file__).parent / "sql" / "steps"
    assert {path.name for path in folder.iterdir()} == {f"{number}.sql" for number in range(1, schema.VERSION + 1)}
