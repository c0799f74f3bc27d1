"""Effects exactly once, on real databases and by each driver."""

import asyncio
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import psycopg
import pytest

from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import ConfigurationError, Job, Queue, Worker
from workerpool._once import TABLE

pytestmark = pytest.mark.component


def job(number: int = 1, stream: str = "s") -> Job:
    return Job(f"job-{number}", "t", None, attempt=1, queue="main", stream=stream)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "shop.db", timeout=20)) as database:
        database.execute("CREATE TABLE effects (job TEXT)")
        yield database


@pytest.fixture
def table(postgres: str) -> Iterator[str]:
    with psycopg.connect(postgres, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS workerpool_done, effects")
        database.execute(TABLE)
        database.execute("CREATE TABLE effects (job TEXT)")
    yield postgres  # noqa: PT022  the same shape as the one above


def effects(database: sqlite3.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT job FROM effects")]


async def test_the_second_attempt_of_a_committed_job_skips(shop: sqlite3.Connection) -> None:
    for attempt in range(3):
        with shop:
            assert await job().once(shop) == (attempt == 0)
    with shop:
        assert await job(2).once(shop)
        assert await job(1, stream="another").once(shop)


async def test_an_attempt_that_rolled_back_leaves_no_mark(shop: sqlite3.Connection) -> None:
    for _ in range(2):
        assert await job().once(shop)
        shop.execute("INSERT INTO effects VALUES ('half')")
        shop.rollback()
    assert effects(shop) == []
    with shop:
        assert job().once_sync(shop)


async def test_a_mark_is_never_committed_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as database:
        with pytest.raises(ConfigurationError, match="transaction"):
            await job().once(database)
        database.execute("BEGIN")
        assert await job().once(database)
        database.execute("COMMIT")
        database.execute("BEGIN")
        assert not await job().once(database)


def test_of_two_attempts_at_once_one_is_let_through(shop: sqlite3.Connection, tmp_path: Path) -> None:
    let_through = []

    def attempt() -> None:
        with closing(sqlite3.connect(tmp_path / "shop.db", timeout=20)) as database, database:
            if job().once_sync(database):
                database.execute("INSERT INTO effects VALUES ('done')")
                let_through.append(1)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert effects(shop) == ["done"]
    assert let_through == [1]


async def test_a_thing_that_is_no_connection_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no connection"):
        await job().once(object())


async def test_a_worker_counts_what_it_skips(shop: sqlite3.Connection) -> None:
    queue = Queue.connect("memory://")
    worker = Worker(queue, health_port=0, metrics_port=0, env={"DRAIN_TIMEOUT": "5", "BACKOFF_SECONDS": "0.01"})

    @worker.job("effect")
    async def effect(job: Job) -> None:
        with shop:
            if await job.once(shop):
                shop.execute("INSERT INTO effects VALUES (?)", (job.id,))
        if job.attempt == 1:
            raise OSError("died after the commit")

    await queue.enqueue("effect", job_id="a")
    serving = asyncio.create_task(worker.serve())

    async def done() -> bool:
        depth = await queue.depth()
        return depth.unfinished == 0

    await until(done, what="the job done")
    page = await asyncio.to_thread(_metrics, worker)
    worker.stop()
    await serving
    assert effects(shop) == ["a"]
    assert 'jobs_duplicate_skipped_total{lane="io",pool="",version=""} 1.0' in page


async def _once_in(url: str, shop: sqlite3.Connection, *, dies: bool = False) -> None:
    """A worker with the queue at this URL runs until that is empty, or until it dies after the commit."""
    queue = Queue.connect(url, stream="jobs")
    worker = Worker(queue, health_port=0, metrics_port=0, env={"BACKOFF_SECONDS": "0.01"})

    @worker.job("effect")
    async def effect(job: Job) -> None:
        with shop:
            if await job.once(shop):
                shop.execute("INSERT INTO effects VALUES (?)", (job.id,))
        if dies:
            worker.stop()
            raise OSError("died after the commit")

    serving = asyncio.create_task(worker.serve())

    async def over() -> bool:
        depth = await queue.depth()
        return serving.done() or not (dies or depth.unfinished)

    await until(over, what="the jobs done")
    worker.stop()
    await serving
    await queue.close()


async def test_queues_of_one_name_on_two_servers_have_marks_of_their_own(
    redis_server: RedisServer, shop: sqlite3.Connection
) -> None:
    """As do two databases of one server: neither finds the marks of the other's jobs."""
    for number in (7, 8):
        url = f"{redis_server.url.rpartition('/')[0]}/{number}"
        async with Queue.connect(url, stream="jobs") as queue:
            await queue.enqueue("effect", job_id="a")
        await _once_in(url, shop)
    assert effects(shop) == ["a", "a"]


async def test_a_queue_has_its_marks_by_whatever_path_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: sqlite3.Connection
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Queue.connect("sqlite:///jobs.db") as queue:
        await queue.enqueue("effect", job_id="a")
    await _once_in("sqlite:///jobs.db", shop, dies=True)
    await _once_in(f"sqlite:///{tmp_path}/jobs.db", shop)
    assert effects(shop) == ["a"]


def _metrics(worker: Worker) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=20) as answer:
        page: bytes = answer.read()
    return page.decode()


@pytest.mark.postgres
class TestPostgres:
    async def test_psycopg(self, table: str) -> None:
        with psycopg.connect(table) as database:
            for attempt in range(2):
                with database.transaction():
                    assert await job().once(database) == (attempt == 0)
            database.commit()
            database.autocommit = True
            with pytest.raises(ConfigurationError, match="transaction"):
                await job().once(database)
            with database.transaction():
                assert not job().once_sync(database)

    async def test_psycopg_asynchronous(self, table: str) -> None:
        async with await psycopg.AsyncConnection.connect(table) as database:
            assert await job().once(database)
            await database.rollback()
            assert await job().once(database)
            await database.commit()
            assert not await job().once(database)
            with pytest.raises(ConfigurationError, match="await"):
                job().once_sync(database)

    async def test_asyncpg(self, table: str) -> None:
        database = await asyncpg.connect(table)
        try:
            with pytest.raises(ConfigurationError, match="transaction"):
                await job().once(database)
            failing = database.transaction()
            await failing.start()
            assert await job().once(database)
            await failing.rollback()
            for attempt in range(2):
                async with database.transaction():
                    assert await job().once(database) == (attempt == 0)
        finally:
            await database.close()

    async def test_of_two_attempts_at_once_the_second_waits_for_the_first(self, table: str) -> None:
        """It is let through when the first one rolls back, and skips when it commits."""
        first, second = await asyncpg.connect(table), await asyncpg.connect(table)
        try:
            for commits in (False, True):
                one = first.transaction()
                await one.start()
                assert await job(9).once(first)

                async def attempt() -> bool:
                    async with second.transaction():
                        return await job(9).once(second)

                waiting = asyncio.create_task(attempt())
                blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

                async def second_waits(blocked: str = blocked) -> bool:
                    return bool(await first.fetchval(blocked))

                await until(second_waits, what="the second attempt waiting for the first")
                await (one.commit() if commits else one.rollback())
                assert await waiting == (not commits)
                if not commits:
                    await second.execute("DELETE FROM workerpool_done")
        finally:
            await first.close()
            await second.close()
