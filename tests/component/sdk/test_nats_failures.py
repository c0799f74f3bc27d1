"""Each way in which a NATS can fail has an error of its own, comes in time, and is over when the cause is."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import nats
import pytest
import pytest_asyncio

from tests.support.authority import Authority
from tests.support.nats import NatsServer
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Broker, Credentials, DeadJobs, DeadLetter, DeathReason, NewJob, Retry
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    CredentialsMissing,
    PayloadInvalid,
    QueueNotFound,
    TLSFailed,
)

pytestmark = [pytest.mark.component, pytest.mark.nats]


class Open(Protocol):
    """Opens one more view of a queue."""

    def __call__(
        self, url: str, *, timeout: float = 5.0, credentials: Credentials | None = None, stream: str = "jobs"
    ) -> Broker: ...


@pytest_asyncio.fixture
async def open_one() -> AsyncIterator[Open]:
    opened: list[Broker] = []

    def open_one(
        url: str, *, timeout: float = 5.0, credentials: Credentials | None = None, stream: str = "jobs"
    ) -> Broker:
        opened.append(brokers.connect(url, stream=stream, group="g", timeout=timeout, credentials=credentials))
        return opened[-1]

    yield open_one
    for broker in opened:
        await broker.close()


def secret(folder: Path, *, password: str, username: str = "") -> Credentials:
    (folder / "username").write_text(username + "\n")
    (folder / "password").write_text(password + "\n")
    return Credentials(
        username_file=folder / "username" if username else None,
        password_file=folder / "password",
    )


async def works(broker: Broker) -> None:
    await broker.put([NewJob(type="t", payload=b"1")])
    [job] = await broker.take(limit=1, wait=5)
    assert await broker.ack([job]) == frozenset()


async def answers(broker: Broker) -> bool:
    try:
        await broker.depth()
    except BrokerError:
        return False
    return True


async def test_a_refused_connection_is_unavailable(open_one: Open) -> None:
    with pytest.raises(BrokerUnavailable):
        await open_one("nats://127.0.0.1:1").depth()


async def test_a_name_that_does_not_resolve_is_unavailable(open_one: Open) -> None:
    with pytest.raises(BrokerUnavailable):
        await open_one("nats://no-such-host.invalid").depth()


async def test_a_hung_server_is_unavailable_in_time(open_one: Open, tmp_path: Path) -> None:
    """Also when several calls wait for the same connection, and for one that is yet to be dialled."""
    with NatsServer(tmp_path) as server:
        broker, late = open_one(server.url, timeout=0.4), open_one(server.url, timeout=0.4)
        await until(lambda: answers(broker), what="an answer before the hang")
        server.pause()
        started = time.monotonic()
        calls = [broker.depth(), broker.depth(), broker.put([NewJob(type="t", payload=b"1")]), late.depth()]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - started < 20
        assert [type(outcome) for outcome in outcomes] == [BrokerUnavailable] * 4
        server.resume()
        for one in (broker, late):
            await until(lambda one=one: answers(one), what="an answer after the hang")  # type: ignore[misc]


async def test_closing_waits_for_no_hung_server(open_one: Open, tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        broker = open_one(server.url, timeout=60)
        await works(broker)
        server.pause()
        async with asyncio.timeout(20):
            await broker.close()
        server.resume()


async def test_something_that_is_not_nats_is_a_bad_answer(open_one: Open) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BadAnswer, match="not NATS"):
            await open_one(f"nats://127.0.0.1:{port}").depth()


async def test_an_older_nats_is_named(open_one: Open) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.4","max_payload":1048576,"headers":true}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BadAnswer, match=r"this is NATS 2\.10; 2\.12 or later is needed"):
            await open_one(f"nats://127.0.0.1:{port}").depth()


async def test_a_server_without_jetstream(open_one: Open, tmp_path: Path) -> None:
    settings = "accounts { A { users: [{user: u, password: p}], jetstream: disabled } }"
    with NatsServer(tmp_path, settings=settings) as server:
        broker = open_one(server.url, credentials=secret(tmp_path, username="u", password="p"))
        with pytest.raises((QueueNotFound, BrokerUnavailable), match="JetStream"):
            await broker.depth()


async def test_a_username_and_password_are_read_anew_for_each_connection(open_one: Open, tmp_path: Path) -> None:
    with NatsServer(tmp_path, settings="authorization { user: worker, password: right }") as server:
        broker = open_one(server.url, credentials=secret(tmp_path, username="worker", password="wrong"))
        with pytest.raises(AuthenticationFailed):
            await broker.depth()
        secret(tmp_path, username="worker", password="right")
        await works(broker)
        with pytest.raises(AuthenticationFailed):
            await open_one(server.url).depth()


async def test_a_password_alone_is_a_token(open_one: Open, tmp_path: Path) -> None:
    with NatsServer(tmp_path, settings='authorization { token: "t0ken" }') as server:
        await works(open_one(server.url, credentials=secret(tmp_path, password="t0ken")))
        await works(open_one(server.url.replace("://", "://t0ken@")))
        with pytest.raises(AuthenticationFailed):
            await open_one(server.url, credentials=secret(tmp_path, password="other")).depth()


async def test_a_credentials_file_that_is_not_there(open_one: Open, nats_server: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing):
        await open_one(nats_server.url, credentials=Credentials(password_file=tmp_path / "none")).depth()


async def test_what_a_user_may_not_do_is_said_at_once(open_one: Open, tmp_path: Path) -> None:
    allowed = '{publish: {allow: ["$JS.API.STREAM.INFO.*"]}, subscribe: "_INBOX.>"}'
    settings = f"authorization {{ users: [{{user: u, password: p, permissions: {allowed}}}] }}"
    with NatsServer(tmp_path, settings=settings) as server:
        broker = open_one(server.url, timeout=60, credentials=secret(tmp_path, username="u", password="p"))
        assert (await broker.depth()).waiting == 0
        started = time.monotonic()
        with pytest.raises(AuthenticationFailed, match=r"stream\.create"):
            await broker.put([NewJob(type="t", payload=b"1")])
        assert time.monotonic() - started < 20


async def test_the_documented_rights_are_enough_for_a_worker(open_one: Open, tmp_path: Path) -> None:
    api = [
        f"{call}.{stream}{rest}"
        for stream in ("jobs", "KV_jobs-workerpool")
        for call, rest in {
            "STREAM.INFO": "",
            "STREAM.CREATE": "",
            "STREAM.MSG.GET": "",
            "STREAM.MSG.DELETE": "",
            "STREAM.PURGE": "",
            "CONSUMER.INFO": ".>",
            "CONSUMER.CREATE": ".>",
            "CONSUMER.MSG.NEXT": ".>",
        }.items()
    ]
    page = (Path(__file__).parents[3] / "docs" / "reference" / "worker-contract.md").read_text()
    assert all(f"`{call.split('.jobs')[0]}`" in page for call in api if ".jobs" in call)
    publish = ["jobs.>", "$KV.jobs-workerpool.>", "$JS.ACK.>", *(f"$JS.API.{call}" for call in api)]
    lists = [", ".join(f'"{subject}"' for subject in subjects) for subjects in (publish, ["_INBOX.>", "jobs.jobs"])]
    allowed = f"{{publish: {{allow: [{lists[0]}]}}, subscribe: {{allow: [{lists[1]}]}}}}"
    settings = f"authorization {{ users: [{{user: u, password: p, permissions: {allowed}}}] }}"
    with NatsServer(tmp_path, settings=settings) as server:
        broker = open_one(server.url, credentials=secret(tmp_path, username="u", password="p"))
        await broker.put([NewJob(type="t", payload=b"1", job_id=str(number)) for number in range(5)], max_depth=9)
        ack, retry, back, dead, rest = await broker.take(limit=5, wait=1)
        assert not await broker.extend([ack, retry, back, dead, rest])
        assert await broker.checkpoint(retry, b"1")
        assert not await broker.ack([ack])
        assert not await broker.retry_later([Retry(retry, 60)])
        assert not await broker.hand_back([back])
        assert not await broker.dead_letter([DeadLetter(dead, DeathReason.REJECTED)])
        broker.set_lease(90.0)
        await broker.maintain()
        assert (await broker.depth()).dead_letters == 1
        assert not await broker.wait_for_arrival(0.01)
        assert (await broker.take_tokens("b", count=1, rate=1.0, burst=1.0)).granted == 1
        assert len(await broker.dead_letters(limit=9)) == 1
        assert await broker.redrive(DeadJobs()) == 1
        assert await broker.purge(DeadJobs()) == 0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def tls(authority: Authority, *, verify: bool = True) -> str:
    client = f'ca_file: "{authority.ca}", verify: true' if verify else ""
    return f'tls {{ cert_file: "{authority.cert}", key_file: "{authority.key}", timeout: 30, {client} }}'


@pytest.fixture
def tls_server(tmp_path: Path, authority: Authority) -> Iterator[NatsServer]:
    """A NATS that speaks TLS only and wants a client certificate."""
    with NatsServer(tmp_path / "nats", settings=tls(authority), tls=True) as server:
        yield server


async def test_tls_with_ca_and_client_certificate(open_one: Open, tls_server: NatsServer, authority: Authority) -> None:
    files = Credentials(ca_file=authority.ca, cert_file=authority.cert, key_file=authority.key)
    await works(open_one(tls_server.url, credentials=files))


async def test_a_missing_client_certificate_is_said(
    open_one: Open, tls_server: NatsServer, authority: Authority
) -> None:
    with pytest.raises(TLSFailed):
        await open_one(tls_server.url, credentials=Credentials(ca_file=authority.ca)).depth()


async def test_a_certificate_of_an_unknown_authority_is_refused(
    open_one: Open, tls_server: NatsServer, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    with pytest.raises(TLSFailed, match=r"(?i)certificate"):
        await open_one(tls_server.url, credentials=Credentials(ca_file=other.ca)).depth()


async def test_an_expired_certificate_is_refused(open_one: Open, tmp_path: Path) -> None:
    old = Authority(tmp_path / "old", expired=True)
    server = NatsServer(tmp_path / "nats", settings=tls(old, verify=False), tls=True)
    with server, pytest.raises(TLSFailed, match=r"(?i)certificate"):
        await open_one(server.url, credentials=Credentials(ca_file=old.ca)).depth()


async def test_a_password_is_not_sent_in_the_clear_to_a_server_without_tls(
    open_one: Open, nats_server: NatsServer, authority: Authority
) -> None:
    url = nats_server.url.replace("nats://", "tls://")
    with pytest.raises(TLSFailed, match="does not speak TLS"):
        await open_one(url, credentials=Credentials(ca_file=authority.ca)).depth()


async def test_a_ca_file_that_is_not_there_or_is_none(open_one: Open, tls_server: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing):
        await open_one(tls_server.url, credentials=Credentials(ca_file=tmp_path / "ca.crt")).depth()
    (tmp_path / "ca.crt").write_text("hello")
    with pytest.raises(TLSFailed):
        await open_one(tls_server.url, credentials=Credentials(ca_file=tmp_path / "ca.crt")).depth()


async def test_a_stream_that_is_no_work_queue_is_refused(open_one: Open, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    try:
        await client.jetstream().add_stream(name="plain", subjects=["plain.>"])
    finally:
        await client.close()
    with pytest.raises(QueueNotFound, match="needs retention 'workqueue'"):
        await open_one(nats_server.url, stream="plain").put([NewJob(type="t", payload=b"1")])


async def test_a_job_that_is_larger_than_the_server_takes(
    open_one: Open, nats_server: NatsServer, nats_stream: str
) -> None:
    broker = open_one(nats_server.url, stream=nats_stream)
    with pytest.raises(PayloadInvalid, match="1048576"):
        await broker.put([NewJob(type="t", payload=b"1" * 2_000_000)])
    await works(broker)


async def test_after_a_restart_jobs_in_flight_are_still_ours_and_none_is_lost(open_one: Open, tmp_path: Path) -> None:
    """Neither those that wait, nor those that are not due, nor the dead ones."""
    with NatsServer(tmp_path) as server:
        broker = open_one(server.url)
        await broker.put([NewJob(type="t", payload=str(number).encode()) for number in range(5)])
        await broker.put([NewJob(type="t", payload=b"later", delay=60)])
        mine, dead = await broker.take(limit=2, wait=5)
        await broker.dead_letter([DeadLetter(dead, DeathReason.REJECTED)])
        server.kill()
        with pytest.raises(BrokerUnavailable):
            await broker.depth()
        server.start()
        depth = await broker.depth()
        assert (depth.waiting, depth.in_flight, depth.delayed, depth.dead_letters) == (3, 1, 1, 1)
        assert await broker.extend([mine]) == frozenset()
        assert await broker.ack([mine]) == frozenset()
        assert [job.payload for job in await broker.take(limit=9, wait=5)] == [b"2", b"3", b"4"]


async def test_a_take_that_waits_hears_of_the_end_of_its_server_at_once(open_one: Open, tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        broker = open_one(server.url, timeout=30)
        await broker.take(limit=1, wait=0)
        waiting = asyncio.create_task(broker.take(limit=1, wait=60))
        await broker.depth()
        server.kill()
        async with asyncio.timeout(20):
            with pytest.raises(BrokerUnavailable):
                await waiting


async def test_a_deleted_stream_is_made_anew(open_one: Open, nats_server: NatsServer, nats_stream: str) -> None:
    broker = open_one(nats_server.url, stream=nats_stream)
    await works(broker)
    client = await nats.connect(nats_server.url)
    try:
        await client.jetstream().delete_stream(nats_stream)
    finally:
        await client.close()
    await broker.put([NewJob(type="t", payload=b"1")])

    async def taken() -> bool:
        try:
            return len(await broker.take(limit=1, wait=0.1)) == 1
        except BrokerUnavailable:
            return False

    await until(taken, what="the job in the new stream")


async def test_a_call_that_is_cancelled_ends(open_one: Open, nats_server: NatsServer, nats_stream: str) -> None:
    """A worker that is told to stop waits for its tasks: one that swallows its cancellation would hang it for ever."""
    broker = open_one(nats_server.url, stream=nats_stream)

    async def forever() -> None:
        while True:
            await broker.depth()

    for _ in range(30):
        task = asyncio.create_task(forever())
        await asyncio.sleep(0.003)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done, "the cancellation was swallowed"
    assert await answers(broker)
