"""Each way in which a PostgreSQL can fail has an error of its own, comes in time, and is over when the cause is."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.component.sdk.conftest import OpenPostgres
from tests.support.postgres import PostgresServer
from tests.support.proxy import Proxy
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Credentials, NewJob, Taken
from workerpool.broker._postgres import PostgresBroker, schema
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    CredentialsMissing,
    PayloadInvalid,
    QueueNotFound,
)

pytestmark = [pytest.mark.component, pytest.mark.postgres]

PASSWORDS = "local all all trust\nhost all test 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
JOB = NewJob(type="t", payload=b"1")


@pytest.fixture
def server(postgres_folder: Path) -> Iterator[PostgresServer]:
    """A server of the test's own, which wants passwords of all but its administrator."""
    with PostgresServer(postgres_folder / "server", hba=PASSWORDS) as one:
        one.sql("CREATE ROLE worker LOGIN PASSWORD 'one'")
        yield one


def as_worker(server: PostgresServer, password: str = ":one") -> str:
    return server.url.replace("test@", f"worker{password}@")


async def answers(broker: PostgresBroker) -> bool:
    with contextlib.suppress(BrokerError):
        await broker.depth()
        return True
    return False


async def take_into(found: list[Taken], broker: PostgresBroker) -> bool:
    with contextlib.suppress(BrokerUnavailable):
        found += await broker.take(limit=1, wait=0.05)
    return bool(found)


async def test_a_refused_connection_is_unavailable(connect: OpenPostgres) -> None:
    with pytest.raises(BrokerUnavailable):
        await connect("postgresql://u@127.0.0.1:1/d?sslmode=disable").depth()


async def test_a_name_that_does_not_resolve_is_unavailable(connect: OpenPostgres) -> None:
    with pytest.raises(BrokerUnavailable):
        await connect("postgresql://u@no-such-host.invalid/d").depth()


async def test_a_hung_server_is_unavailable_in_time(connect: OpenPostgres, server: PostgresServer) -> None:
    """Also when several calls wait for the same connection."""
    broker = connect(server.url, timeout=0.5)
    await until(lambda: answers(broker), what="an answer before the hang")
    server.pause()
    try:
        started = time.monotonic()
        outcomes = await asyncio.gather(*(broker.depth() for _ in range(3)), return_exceptions=True)
        assert time.monotonic() - started < 20
        assert [type(outcome) for outcome in outcomes] == [BrokerUnavailable] * 3
    finally:
        server.go_on()
    await until(lambda: answers(broker), what="an answer after the hang")


async def test_something_that_is_not_postgres_is_a_bad_answer(connect: OpenPostgres) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises((BadAnswer, BrokerUnavailable)):
            await connect(f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable", timeout=1).depth()


async def test_wrong_and_missing_passwords_and_unknown_users(connect: OpenPostgres, server: PostgresServer) -> None:
    for url in (as_worker(server, ":wrong"), as_worker(server, ""), server.url.replace("test@", "nobody:wrong@")):
        with pytest.raises(AuthenticationFailed) as caught:
            await connect(url).depth()
        assert "wrong" not in str(caught.value)
    with pytest.raises(CredentialsMissing, match="user name"):
        await connect(server.url.replace("test@", "")).depth()


async def test_credentials_are_read_anew_for_each_connection(
    connect: OpenPostgres, server: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "username").write_text("worker\n")
    (tmp_path / "password").write_text("one\n")
    files = Credentials(username_file=tmp_path / "username", password_file=tmp_path / "password")
    broker = connect(server.url, credentials=files)
    await broker.depth()
    server.sql("ALTER ROLE worker PASSWORD 'two'")
    (tmp_path / "password").write_text("two\n")
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'worker'")
    await until(lambda: answers(broker), what="an answer with the new password")


async def test_a_database_that_is_not_there(connect: OpenPostgres, server: PostgresServer) -> None:
    with pytest.raises(QueueNotFound, match="elsewhere"):
        await connect(server.url.replace("/postgres", "/elsewhere")).depth()


async def test_a_user_who_may_not_make_the_schema_is_told_so(connect: OpenPostgres, server: PostgresServer) -> None:
    broker = connect(as_worker(server))
    assert (await broker.depth()).waiting == 0, "who reads makes nothing"
    with pytest.raises(QueueNotFound, match="may not make it"):
        await broker.put([JOB])
    assert server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'workerpool'") == [(0,)]


async def test_a_user_without_rights_in_the_schema_is_refused(connect: OpenPostgres, server: PostgresServer) -> None:
    server.sql(schema.text())
    with pytest.raises(AuthenticationFailed):
        await connect(as_worker(server)).put([JOB])


def rights(kind: str) -> list[str]:
    """What the reference tells an administrator to run."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "brokers.md").read_text()
    [block] = [part for part in page.split("```") if part.startswith("sql\n") and f" TO {kind};" in part]
    return [line for line in block.removeprefix("sql\n").split(";") if line.strip()]


async def test_the_documented_rights_are_enough(connect: OpenPostgres, server: PostgresServer) -> None:
    server.sql(schema.text())
    server.sql("CREATE ROLE collector LOGIN PASSWORD 'one'")
    for statement in [*rights("worker"), *rights("collector")]:
        server.sql(statement)
    worker = connect(as_worker(server))
    observer = connect(as_worker(server).replace("worker:", "collector:"))
    await worker.put([NewJob(type="t", payload=b"1", job_id="a", tenant="x"), JOB], max_depth=9)
    first, second = await worker.take(limit=2, wait=1)
    assert (await observer.depth()).in_flight == 2
    await worker.ack([first])
    await worker.hand_back([second])
    await worker.put([JOB])
    assert await observer.wait_for_arrival(10.0)
    await worker.maintain()
    await worker.take_tokens("b", count=1, rate=1.0, burst=1.0)
    with pytest.raises(AuthenticationFailed):
        await observer.put([JOB])


async def test_after_a_restart_jobs_in_flight_are_still_ours(connect: OpenPostgres, server: PostgresServer) -> None:
    broker = connect(server.url)
    await broker.put([JOB, JOB])
    [job] = await broker.take(limit=1, wait=1)
    waiting = asyncio.create_task(broker.take(limit=1, wait=30))
    server.stop()
    await asyncio.wait([waiting])
    assert isinstance(waiting.exception(), BrokerUnavailable)
    with pytest.raises(BrokerUnavailable):
        await broker.ack([job])
    server.start()
    await until(lambda: answers(broker), what="an answer after the restart")
    assert await broker.ack([job]) == frozenset()


async def test_after_a_failover_the_new_primary_is_found_although_the_old_one_answers(
    connect: OpenPostgres, server: PostgresServer, postgres_folder: Path
) -> None:
    """The old one is a standby now and keeps its connections: they would be told that it only reads for ever."""
    with PostgresServer(postgres_folder / "new") as new:
        async with Proxy(server.port) as proxy:
            broker = connect(server.url.replace(str(server.port), str(proxy.port)))
            await broker.put([JOB])
            server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
            server.sql("SELECT pg_reload_conf()")
            proxy.lead_to(new.port)

            async def refused() -> bool:
                with contextlib.suppress(BrokerUnavailable, QueueNotFound):
                    await broker.put([JOB])
                    return bool(new.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'workerpool'"))
                return False

            await until(refused, what="a job at the new primary")
            found: list[Taken] = []
            await until(partial(take_into, found, broker), what="the job of the new primary")
            await broker.close()


async def test_a_server_without_room_for_a_connection_is_unavailable_until_there_is_one(
    connect: OpenPostgres, postgres_folder: Path
) -> None:
    settings = {"max_connections": "4", "superuser_reserved_connections": "0", "max_wal_senders": "0"}
    with PostgresServer(postgres_folder / "full", settings) as server:
        broker = connect(server.url)
        with contextlib.ExitStack() as others:
            taken: list[object] = []

            def full() -> bool:
                with contextlib.suppress(psycopg.OperationalError):  # whoever asked whether it is up may still leave
                    taken.append(others.enter_context(contextlib.closing(psycopg.connect(server.address))))
                return len(taken) == 4

            await until(full, what="all of its connections")
            with pytest.raises(BrokerUnavailable, match="too many clients"):
                await broker.put([JOB])
        await until(lambda: answers(broker), what="an answer when there is room")
        await broker.put([JOB])


async def test_a_full_disk_refuses_jobs_as_unavailable_and_loses_none(
    connect: OpenPostgres, server: PostgresServer
) -> None:
    broker = connect(server.url)
    await broker.put([JOB])
    server.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE disk_full USING MESSAGE = 'No space left on device'; END $$"
    )
    server.sql("CREATE TRIGGER full_disk BEFORE INSERT ON workerpool.jobs EXECUTE FUNCTION full_disk()")
    with pytest.raises(BrokerUnavailable, match="No space"):
        await broker.put([JOB])
    [job] = await broker.take(limit=2, wait=0.1)
    assert await broker.ack([job]) == frozenset()
    server.sql("DROP TRIGGER full_disk ON workerpool.jobs")
    assert await broker.put([JOB]) == 1


async def test_what_a_lost_answer_gave_us_comes_back_at_once(
    connect: OpenPostgres, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = connect(server.url)
    await broker.put([JOB])
    whole = broker._link.rows

    async def lose(query: str, *arguments: object) -> list[object]:
        await whole(query, *arguments)
        monkeypatch.undo()
        raise BrokerUnavailable("lost")

    monkeypatch.setattr(broker._link, "rows", lose)
    with pytest.raises(BrokerUnavailable):
        await broker.take(limit=1, wait=0)
    assert (await broker.depth()).in_flight == 1
    [job] = await broker.take(limit=1, wait=0)
    assert (job.attempt, job.redelivered) == (2, True)


async def test_a_queue_that_was_deleted_is_made_anew(connect: OpenPostgres, server: PostgresServer) -> None:
    broker = connect(server.url)
    await broker.put([JOB])
    server.sql("DROP SCHEMA workerpool CASCADE")
    with pytest.raises(QueueNotFound):
        await broker.put([JOB])
    assert await broker.put([JOB]) == 1
    server.sql("DELETE FROM workerpool.queues")
    with pytest.raises(QueueNotFound):
        await broker.put([JOB])
    assert await broker.put([JOB]) == 1


async def test_many_who_are_first_make_one_schema(connect: OpenPostgres, server: PostgresServer) -> None:
    everyone = [connect(server.url) for _ in range(8)]
    assert await asyncio.gather(*(one.put([JOB]) for one in everyone)) == [1] * 8
    assert (await everyone[0].depth()).waiting == 8


async def test_a_call_that_is_cancelled_ends(connect: OpenPostgres, server: PostgresServer) -> None:
    """A worker that is told to stop waits for its tasks: one that swallows its cancellation would hang it for ever."""
    broker = connect(server.url)

    async def forever() -> None:
        while True:
            await broker.maintain()

    for _ in range(20):
        task = asyncio.create_task(forever())
        await asyncio.sleep(0.003)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done, "the cancellation was swallowed"
    assert await answers(broker)


@pytest.mark.parametrize("text", ["a\0b", "half \ud800"])
async def test_what_a_text_cannot_hold_is_refused_when_put_and_kept_readable_in_a_dead_letter(
    connect: OpenPostgres, server: PostgresServer, text: str
) -> None:
    broker = connect(server.url)
    with pytest.raises(PayloadInvalid, match="cannot hold"):
        await broker.put([NewJob(type=text, payload=b"1")])
    await broker.put([JOB])
    [job] = await broker.take(limit=1, wait=1)
    letter = brokers.DeadLetter(job, brokers.DeathReason.REJECTED, error=text)
    assert await broker.dead_letter([letter]) == frozenset()
    [dead] = await broker.dead_letters(limit=9)
    assert dead.error in {r"a\x00b", r"half \ud800"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql://h",
        "postgresql://h:port/d",
        "postgresql://u:secret@h/d?sslmode=require",
        "postgresql://u:secret@h/d?options=x",
        "postgresql://u:secret@h/d/e",
    ],
)
def test_a_url_that_is_none_of_postgres_is_refused_without_repeating_it(connect: OpenPostgres, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(url)
    assert "secret" not in str(caught.value)
