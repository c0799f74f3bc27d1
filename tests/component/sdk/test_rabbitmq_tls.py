"""RabbitMQ by TLS: whom we trust, and what each mistake is called; and that the rights which the page names will do."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.rabbitmq import RabbitServer, wait_for_dead_letters
from workerpool import broker as brokers
from workerpool.broker import Broker, BrokerError, Credentials, DeadJobs, DeadLetter, DeathReason, NewJob, Retry
from workerpool.errors import BadAnswer, BrokerUnavailable, CredentialsMissing, TLSFailed

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "brokers.md"


def rights() -> str:
    """What the page says that a user of the queue `thumbs` needs."""
    said = re.search(r"`read` on `([^`]+)`", PAGE.read_text())
    assert said is not None
    return said[1].replace("Q", "thumbs")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RabbitServer]:
    """One that speaks TLS only, wants a client certificate, and has a user with the rights of the page."""
    server = RabbitServer(
        tmp_path_factory.mktemp("rabbitmq-tls"),
        tls={"cacertfile": authority.ca, "certfile": authority.cert, "keyfile": authority.key},
        options={"ssl_options.verify": "verify_peer", "ssl_options.fail_if_no_peer_cert": "true"},
    )
    server.allow("worker", "pw", only=rights(), write=f"{rights()}|^amq.default$")
    with server:
        yield server


def ours(authority: Authority, **more: Path) -> Credentials:
    return Credentials(ca_file=authority.ca, **_certificate(authority), **more)


def _certificate(authority: Authority) -> dict[str, Path]:
    return {"cert_file": authority.cert, "key_file": authority.key}


async def told(server: RabbitServer, credentials: Credentials, *, url: str = "") -> BrokerError:
    """What a look at the queue fails with."""
    broker = brokers.connect(url or server.url, stream="jobs", credentials=credentials, timeout=10.0)
    with pytest.raises(BrokerError) as caught:
        await broker.depth()
    await broker.close()
    return caught.value


async def test_the_documented_rights_are_enough(
    tls_server: RabbitServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_dead_letters(monkeypatch)
    (tmp_path / "username").write_text("worker")
    (tmp_path / "password").write_text("pw")
    files = ours(authority, username_file=tmp_path / "username", password_file=tmp_path / "password")
    broker: Broker = brokers.connect(tls_server.url, stream="thumbs", credentials=files)
    await broker.put([NewJob("t", b"1") for _ in range(4)], max_depth=9)
    await broker.put([NewJob("t", b"late", delay=0.01)])
    ack, retry, back, dead = [job for _ in range(4) for job in await broker.take(limit=1, wait=20)]
    assert not await broker.ack([ack])
    assert not await broker.retry_later([Retry(retry, 0.01)])
    assert not await broker.hand_back([back])
    assert not await broker.dead_letter([DeadLetter(dead, DeathReason.REJECTED)])
    assert len(await broker.dead_letters(limit=9)) == 1
    assert await broker.redrive(DeadJobs()) == 1
    assert await broker.purge(DeadJobs()) == 0
    found = 0
    async with asyncio.timeout(60):
        while found < 4:
            found += len(await broker.take(limit=9, wait=0.2))
    await broker.close()


async def test_an_authority_that_we_do_not_know(tls_server: RabbitServer, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    assert isinstance(await told(tls_server, Credentials(ca_file=other.ca)), TLSFailed)
    assert isinstance(await told(tls_server, Credentials()), TLSFailed)


async def test_without_the_client_certificate_that_it_wants(tls_server: RabbitServer, authority: Authority) -> None:
    assert isinstance(await told(tls_server, Credentials(ca_file=authority.ca)), TLSFailed)


@pytest.mark.parametrize("ours", [False, True], ids=["wants a", "does not accept our"])
async def test_one_that_hangs_up_once_tls_is_set_up(
    authority: Authority, request: pytest.FixtureRequest, *, ours: bool
) -> None:
    """It has said why, and its word was lost as the connection was reset."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(authority.cert, authority.key)
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=tls) as server:
        files = Credentials(ca_file=authority.ca, **_certificate(authority) if ours else {})
        broker = brokers.connect(
            f"amqps://127.0.0.1:{server.sockets[0].getsockname()[1]}", stream="q", credentials=files
        )
        with pytest.raises(TLSFailed, match=f"maybe it {request.node.callspec.id} client certificate"):
            await broker.depth()
        await broker.close()


async def test_a_ca_file_that_is_not_there(tls_server: RabbitServer, tmp_path: Path) -> None:
    assert isinstance(await told(tls_server, Credentials(ca_file=tmp_path / "ca.crt")), CredentialsMissing)


async def test_without_tls_to_one_that_wants_it(tls_server: RabbitServer) -> None:
    error = await told(tls_server, Credentials(), url=tls_server.url.replace("amqps", "amqp"))
    assert isinstance(error, BadAnswer | BrokerUnavailable)


async def test_with_tls_to_one_that_has_none(rabbitmq_server: RabbitServer) -> None:
    url = rabbitmq_server.url.replace("amqp", "amqps")
    assert isinstance(await told(rabbitmq_server, Credentials(), url=url), TLSFailed | BrokerUnavailable)


async def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    late = Authority(tmp_path / "late", expired=True)
    files = {"cacertfile": late.ca, "certfile": late.cert, "keyfile": late.key}
    with RabbitServer(tmp_path / "rabbitmq", tls=files) as server:
        error = await told(server, Credentials(ca_file=late.ca))
    assert isinstance(error, TLSFailed)
    assert "expired" in str(error)
