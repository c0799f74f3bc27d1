"""Each way in which a Redis can fail has an error of its own, comes in time, and is over when the cause is."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from tests.component.sdk.conftest import OpenBroker
from tests.support.authority import Authority
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool.broker import (
    Credentials,
    DeadJobs,
    DeadLetter,
    DeathReason,
    NewJob,
    Priority,
    Retry,
    Taken,
    TenantLimit,
)
from workerpool.broker._redis import RedisBroker
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerUnavailable,
    ConfigurationError,
    CredentialsMissing,
    TLSFailed,
)

pytestmark = [pytest.mark.component, pytest.mark.redis]


def credentials(folder: Path, username: str, password: str) -> Credentials:
    (folder / "username").write_text(username + "\n")
    (folder / "password").write_text(password + "\n")
    return Credentials(username_file=folder / "username", password_file=folder / "password")


async def test_a_refused_connection_is_unavailable(open_broker: OpenBroker) -> None:
    with pytest.raises(BrokerUnavailable):
        await open_broker(url="redis://127.0.0.1:1/0").depth()


async def test_a_name_that_does_not_resolve_is_unavailable(open_broker: OpenBroker) -> None:
    with pytest.raises(BrokerUnavailable):
        await open_broker(url="redis://no-such-host.invalid:6379/0").depth()


async def test_a_hung_server_is_unavailable_in_time(open_broker: OpenBroker, tmp_path: Path) -> None:
    """Also when several calls wait for the same connection."""
    with RedisServer(tmp_path) as server:
        broker = open_broker(url=server.url, timeout=0.4)
        await until(lambda: _answers(broker), what="an answer before the hang")
        server.pause()
        started = time.monotonic()
        outcomes = await asyncio.gather(*(broker.depth() for _ in range(3)), return_exceptions=True)
        assert time.monotonic() - started < 20
        assert [type(outcome) for outcome in outcomes] == [BrokerUnavailable] * 3
        server.resume()
        await until(lambda: _answers(broker), what="an answer after the hang")


async def test_something_that_is_not_redis_is_a_bad_answer(open_broker: OpenBroker) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BadAnswer):
            await open_broker(url=f"redis://127.0.0.1:{port}/0").depth()


async def test_credentials_are_read_anew_for_each_connection(open_broker: OpenBroker, tmp_path: Path) -> None:
    with RedisServer(tmp_path, options={"requirepass": "one"}) as server:
        files = credentials(tmp_path, "default", "one")
        broker = open_broker(url=server.url, credentials=files)
        await broker.depth()
        server.client(password="one").config_set("requirepass", "two")
        server.client(password="two").client_kill_filter(_type="normal", skipme=True)
        credentials(tmp_path, "default", "two")
        await until(lambda: _answers(broker), what="an answer with the new password")


@pytest.mark.parametrize("given", [None, ("default", "wrong"), ("nobody", "one")])
async def test_wrong_or_no_credentials(open_broker: OpenBroker, tmp_path: Path, given: tuple[str, str] | None) -> None:
    with RedisServer(tmp_path, options={"requirepass": "one"}) as server:
        files = credentials(tmp_path, *given) if given else None
        with pytest.raises(AuthenticationFailed) as caught:
            await open_broker(url=server.url, credentials=files).depth()
        assert "wrong" not in str(caught.value)


async def test_credentials_for_a_server_that_wants_none(
    open_broker: OpenBroker, redis_server: RedisServer, tmp_path: Path
) -> None:
    files = Credentials(password_file=credentials(tmp_path, "x", "y").password_file)
    with pytest.raises(AuthenticationFailed):
        await open_broker(credentials=files).depth()


async def test_a_user_without_the_right_commands(open_broker: OpenBroker, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        server.client().execute_command("ACL", "SETUSER", "weak", "on", ">pw", "~*", "+@all", "-eval", "-evalsha")
        files = credentials(tmp_path, "weak", "pw")
        with pytest.raises(AuthenticationFailed):
            await open_broker(url=server.url, credentials=files).depth()


@pytest.mark.parametrize("content", [None, ""])
async def test_a_credentials_file_that_is_not_there(
    open_broker: OpenBroker, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialsMissing, match="password"):
        await open_broker(credentials=Credentials(password_file=path)).depth()


async def test_a_full_server_refuses_jobs_as_unavailable(open_broker: OpenBroker, tmp_path: Path) -> None:
    options = {"maxmemory": "1", "maxmemory-policy": "noeviction"}
    with RedisServer(tmp_path, options=options) as server, pytest.raises(BrokerUnavailable):
        await open_broker(url=server.url).put([NewJob(type="t", payload=b"1")])


async def test_after_a_failover_the_new_primary_is_found_although_the_old_one_answers(
    open_broker: OpenBroker, tmp_path: Path
) -> None:
    """The old one is a replica now and keeps its connections: they would be told READONLY for ever."""
    with RedisServer(tmp_path / "old") as old, RedisServer(tmp_path / "new") as new:
        async with Proxy(old.port) as proxy:
            broker = open_broker(url=proxy.url)
            await broker.put([NewJob(type="t", payload=b"1")])
            assert len(await broker.take(limit=1, wait=1)) == 1
            old.client().replicaof("127.0.0.1", new.port)
            proxy.lead_to(new.port)
            with pytest.raises(BrokerUnavailable, match="READONLY"):
                await broker.put([NewJob(type="t", payload=b"2")])
            await broker.put([NewJob(type="t", payload=b"3")])
            found: list[Taken] = []
            await until(partial(_take_into, found, broker), what="the job of the new primary")
            assert [job.payload for job in found] == [b"3"]
            await broker.close()


async def _take_into(found: list[Taken], broker: RedisBroker) -> bool:
    with contextlib.suppress(BrokerUnavailable):
        found += await broker.take(limit=1, wait=0.05)
    return bool(found)


async def test_without_the_right_to_unblock_an_interrupt_still_acts_soon(
    open_broker: OpenBroker, tmp_path: Path
) -> None:
    with RedisServer(tmp_path) as server:
        server.client().execute_command("ACL", "SETUSER", "meek", "on", ">pw", "~*", "+@all", "-client|unblock")
        broker = open_broker(url=server.url, credentials=credentials(tmp_path, "meek", "pw"))
        await broker.take(limit=1, wait=0)
        assert broker._blocking.seconds < 0.2, "it looks for an interrupt as often"
        waiting = asyncio.create_task(broker.take(limit=1, wait=60))
        await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            await broker.interrupt()
            assert await waiting == []


async def test_an_interrupt_of_a_take_on_a_hung_server_ends_with_the_take(
    open_broker: OpenBroker, tmp_path: Path
) -> None:
    with RedisServer(tmp_path) as server:
        broker = open_broker(url=server.url, timeout=0.5)
        await until(lambda: _takes(broker), what="a take before the hang")
        server.pause()
        waiting = asyncio.create_task(broker.take(limit=1, wait=0.5))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            await broker.interrupt()
        assert waiting.done()
        assert isinstance(waiting.exception(), BrokerUnavailable)
        server.resume()


async def test_after_a_restart_jobs_in_flight_are_still_ours(open_broker: OpenBroker, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        broker = open_broker(url=server.url)
        await broker.put([NewJob(type="t", payload=str(n).encode()) for n in range(10)])
        taken = await broker.take(limit=4, wait=1)
        server.kill()
        with pytest.raises(BrokerUnavailable):
            await broker.ack(taken)
        server.start()
        depth = await broker.depth()
        assert (depth.waiting, depth.in_flight) == (6, 4)
        assert await broker.ack(taken) == frozenset()
        assert len(await broker.take(limit=9, wait=1)) == 6


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis:///0", "redis://h:port/0", "redis://h/zero", "redis://h/0?ssl_cert_reqs=none", "http://h", ""],
)
def test_a_url_that_is_none_of_redis_is_refused_without_repeating_it(open_broker: OpenBroker, url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_broker(url=url or "nonsense")


def test_a_stream_whose_braces_are_no_hash_tag_is_refused(open_broker: OpenBroker) -> None:
    for stream in ("a{}", "a{b", "}"):
        with pytest.raises(ConfigurationError, match="hash tag"):
            open_broker(stream=stream)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def tls_server(tmp_path: Path, authority: Authority) -> Iterator[RedisServer]:
    """A Redis that speaks TLS only and wants a client certificate."""
    files = {"ca-cert-file": authority.ca, "cert-file": authority.cert, "key-file": authority.key}
    with RedisServer(tmp_path / "redis", tls=files) as server:
        yield server


async def test_tls_with_ca_and_client_certificate(
    open_broker: OpenBroker, tls_server: RedisServer, authority: Authority
) -> None:
    files = Credentials(ca_file=authority.ca, cert_file=authority.cert, key_file=authority.key)
    broker = open_broker(url=tls_server.url, credentials=files)
    await broker.put([NewJob(type="t", payload=b"1")])
    assert len(await broker.take(limit=1, wait=1)) == 1


async def test_a_certificate_of_an_unknown_authority_is_refused(
    open_broker: OpenBroker, tls_server: RedisServer, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    with pytest.raises(TLSFailed):
        await open_broker(url=tls_server.url, credentials=Credentials(ca_file=other.ca)).depth()
    with pytest.raises(TLSFailed):
        await open_broker(url=tls_server.url).depth()


async def test_tls_to_a_server_without_tls(open_broker: OpenBroker, redis_server: RedisServer) -> None:
    with pytest.raises(BrokerUnavailable, match="TLS"):
        await open_broker(url=redis_server.url.replace("redis://", "rediss://"), timeout=0.5).depth()


async def test_a_ca_file_that_is_not_there(open_broker: OpenBroker, tls_server: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match=r"no-ca\.crt"):
        await open_broker(url=tls_server.url, credentials=Credentials(ca_file=tmp_path / "no-ca.crt")).depth()


async def test_a_ca_file_that_is_no_certificate(
    open_broker: OpenBroker, tls_server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_text("hello")
    with pytest.raises(TLSFailed):
        await open_broker(url=tls_server.url, credentials=Credentials(ca_file=tmp_path / "ca.crt")).depth()


async def _answers(broker: object) -> bool:
    try:
        await broker.depth()  # type: ignore[attr-defined]
    except (BrokerUnavailable, AuthenticationFailed):
        return False
    return True


async def _takes(broker: RedisBroker) -> bool:
    with contextlib.suppress(BrokerUnavailable):
        return await broker.take(limit=1, wait=0) == []
    return False


async def test_a_call_that_is_cancelled_ends(open_broker: OpenBroker) -> None:
    """A worker that is told to stop waits for its tasks: one that swallows its cancellation would hang it for ever."""
    broker = open_broker()

    async def forever() -> None:
        while True:
            await broker.maintain()

    for _ in range(30):
        task = asyncio.create_task(forever())
        await asyncio.sleep(0.003)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        assert done, "the cancellation was swallowed"
    assert await _answers(broker)


async def _no_limits(broker: RedisBroker, server: RedisServer) -> bool:
    await broker.maintain()
    return not server.client().exists("{thumbs}:limits", "{thumbs}:limits:said")


async def test_the_documented_rights_are_enough_for_a_worker(open_broker: OpenBroker, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "worker-contract.md").read_text()
    [rights] = [line.split() for line in page.splitlines() if line.strip().startswith("~thumbs")]
    with RedisServer(tmp_path) as server:
        server.client().execute_command("ACL", "SETUSER", "worker", "reset", "on", ">pw", *rights)
        broker = open_broker(url=server.url, stream="thumbs", credentials=credentials(tmp_path, "worker", "pw"))
        await broker.put([NewJob(type="t", payload=b"1", job_id=str(number)) for number in range(5)], max_depth=9)
        await broker.put([NewJob(type="t", payload=b"1", delay=0.01)])
        ack, retry, back, dead, rest = await broker.take(limit=5, wait=1)
        assert not await broker.extend([ack, retry, back, dead, rest])
        assert await broker.checkpoint(retry, b"1")
        assert not await broker.ack([ack])
        assert not await broker.retry_later([Retry(retry, 60)])
        assert not await broker.hand_back([back])
        assert not await broker.dead_letter([DeadLetter(dead, DeathReason.REJECTED)])
        await broker.maintain()
        await broker.interrupt()
        assert (await broker.depth()).dead_letters == 1
        assert not await broker.wait_for_arrival(0.01)
        assert (await broker.take_tokens("b", count=1, rate=1.0, burst=1.0)).granted == 1
        assert len(await broker.dead_letters(limit=9)) == 1
        assert await broker.redrive(DeadJobs()) == 1
        assert await broker.purge(DeadJobs()) == 0
        ordered = [NewJob(type="t", payload=b"1", tenant="a", ordering_key="k", priority=one) for one in Priority]
        await broker.put(ordered)
        for _ in range(2):  # at first it does not know that there is an order
            await broker.ack(await broker.take(limit=9, wait=0.01, without=frozenset({"t"})))
        for _ in range(20):
            await broker.ack(await broker.take(limit=1, wait=0.01))
            await broker.maintain()
        assert (await broker.depth()).waiting == 0
        broker.limit_tenants({"*": TenantLimit(rate_per_second=1e6, max_in_flight=1)})
        broker.shed_after({"low": 0.0})
        late = [NewJob(type="t", payload=b"1", tenant=tenant, expires_in=0.0) for tenant in ("", "a")]
        await broker.put([*ordered, *late])
        for _ in range(20):
            await broker.ack(await broker.take(limit=1, wait=0.01))
        assert (await broker.depth()).waiting == 0
        assert broker.dropped().keys() == {DeathReason.EXPIRED, DeathReason.SHED}
        broker.limit_tenants({})
        await until(partial(_no_limits, broker, server), what="the limits gone")
        assert broker._blocking.seconds > 1, "it may not interrupt its reads"
        await broker.close()
        denied = server.client(username="worker", password="pw")
        with pytest.raises(NoPermissionError):
            denied.execute_command("CONFIG", "GET", "dir")
