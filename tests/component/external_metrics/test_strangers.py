"""What anybody who reaches the port can do to it, on real connections; nobody reviews anything here."""

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from e2e.cluster.pki import Authority, Pair
from e2e.cluster.ports import free_port
from tests.component.external_metrics.serving import BASE, HOST, HPA, Caller, Replica, certify, serving
from tests.support.attacks import attack
from tests.support.waiting import until
from workerpool_operator.domain.metric import METRIC
from workerpool_operator.serve import listener
from workerpool_operator.serve.external_metrics import server

pytestmark = pytest.mark.component

REMOTE = {"X-Remote-User": HPA}
HEALTH = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = 0.3
"""Seconds, for what is waited for."""
ENOUGH = 30.0


class HpaMayRead:
    """Reviews as of an API server that knows no token."""

    specs: list[dict[str, Any]]

    def __init__(self) -> None:
        self.specs = []

    async def user_info(self, token: str) -> dict[str, Any] | None:
        return None

    async def allowed(self, spec: dict[str, Any]) -> bool:
        self.specs.append(spec)
        return bool(spec["user"] == HPA)


@pytest.fixture
def front(tmp_path: Path) -> Authority:
    return Authority(home=tmp_path / "front", name="front-proxy-ca")


@pytest.fixture
def aggregator(front: Authority) -> Pair:
    return front.issue("front-proxy-client", common_name="front-proxy-client")


@pytest.fixture
def reviews() -> HpaMayRead:
    return HpaMayRead()


@pytest.fixture
async def replica(front: Authority, reviews: HpaMayRead, tmp_path: Path) -> AsyncIterator[Replica]:
    async def config() -> Mapping[str, str]:
        return {
            "requestheader-client-ca-file": front.pair.cert.read_text(),
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
        }

    certify(tmp_path)
    async with serving(Replica(tmp_path, free_port()), reviews, front_proxy=config) as replica:
        replica.want("media", "web", 7)
        replica.answered.clear()
        yield replica


class Peer:
    """A connection on which anything can be said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, text: str) -> None:
        self._writer.write(text.encode())

    async def rest(self) -> bytes:
        """Everything until the other side ends the connection."""
        with suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(ENOUGH):
                return await self._reader.read()
        return b""

    @property
    def ended(self) -> bool:
        return self._reader.at_eof() or self._reader.exception() is not None

    @property
    def refused(self) -> bool:
        """Whether what is said reaches nobody."""
        self.say(HEALTH)
        return self._writer.transport.is_closing()

    async def close(self) -> None:
        self._writer.transport.abort()
        with suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()


@dataclass
class Dialer:
    """Somebody who reaches the port; closes in the end what it has opened."""

    replica: Replica
    peers: list[Peer] = field(default_factory=list)

    async def __call__(self, certificate: Pair | None = None, *, tls: bool = True, saying: str = "") -> Peer:
        context = Caller(self.replica, certificate).context() if tls else None
        peer = Peer(
            *await asyncio.open_connection(
                self.replica.address, self.replica.port, ssl=context, server_hostname=HOST if tls else None
            )
        )
        self.peers.append(peer)
        peer.say(saying)
        return peer


@pytest.fixture
async def dial(replica: Replica) -> AsyncIterator[Dialer]:
    dialer = Dialer(replica)
    yield dialer
    for peer in dialer.peers:
        await peer.close()


class TestTime:
    """Whatever a peer does not do, the connection ends."""

    async def test_no_tls(self, dial: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listener, "HANDSHAKE_SECONDS", SHORT)
        assert await (await dial(tls=False)).rest() == b""

    @pytest.mark.parametrize("begun", ["", "GET / HTTP/1.1\r\nHost: x\r\nX: "], ids=["none", "half"])
    @attack("connections that never say a whole request", stopped_by="time limits for each part of a request")
    async def test_no_whole_head(self, dial: Dialer, monkeypatch: pytest.MonkeyPatch, begun: str) -> None:
        monkeypatch.setattr(listener, "HEAD_SECONDS", SHORT)
        assert await (await dial(saying=begun)).rest() == b""

    async def test_no_whole_head_after_another_one(
        self, dial: Dialer, replica: Replica, aggregator: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also of an API server."""
        monkeypatch.setattr(listener, "HEAD_SECONDS", SHORT)
        peer = await dial(aggregator, saying=HEALTH)
        await until(lambda: replica.answered, what="the first answer")
        peer.say("GET /healthz HTTP/1.1\r\n")
        assert (await peer.rest()).count(b"200 OK") == 1

    async def test_no_further_request(self, dial: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listener, "IDLE_SECONDS", SHORT)
        assert (await (await dial(saying=HEALTH)).rest()).endswith(b"ok")

    async def test_no_whole_body(self, dial: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listener, "BODY_SECONDS", SHORT)
        peer = await dial(saying="POST /apis HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert b"405" in await peer.rest()

    @attack("answers that nobody reads", stopped_by="time limits for each part of a request")
    async def test_no_reading_of_the_answers(
        self, dial: Dialer, replica: Replica, aggregator: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are more than the buffers on the way hold."""
        monkeypatch.setattr(listener, "WRITE_SECONDS", SHORT)
        for number in range(2000):
            replica.want("media", f"pool-{number}", 7)
        ask = f"GET {BASE}/namespaces/media/{METRIC} HTTP/1.1\r\nHost: x\r\nX-Remote-User: {HPA}\r\n\r\n"
        peer = await dial(aggregator, saying=ask * 100)
        await until(lambda: peer.refused, what="the end of the connection")
        assert len(replica.answered) < 100

    async def test_silence_between_requests_is_no_fault(
        self, dial: Dialer, replica: Replica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The time for a head counts from its first byte."""
        monkeypatch.setattr(listener, "HEAD_SECONDS", SHORT)
        peer = await dial(saying=HEALTH)
        await until(lambda: replica.answered, what="an answer")
        assert await (await dial()).rest() == b""  # so as much time has passed as a head may take
        peer.say(HEALTH)
        await until(lambda: len(replica.answered) == 2, what="another answer")
        assert not peer.ended


class TestCrowd:
    @attack(
        "so many connections that there is no room for the API server",
        stopped_by="strangers have a share of the room, and no more",
    )
    async def test_strangers_are_so_many_and_the_api_server_gets_in(
        self, dial: Dialer, replica: Replica, aggregator: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the same address, while they wait for TLS or with half a request."""
        monkeypatch.setattr(listener, "HEAD_SECONDS", 600.0)
        monkeypatch.setattr(listener, "HANDSHAKE_SECONDS", 600)
        peers = [await dial(tls=number % 2 == 0, saying="") for number in range(server.MAX_STRANGERS + 40)]
        await until(lambda: sum(peer.ended for peer in peers) >= 40, what="the end of those that are too many")
        assert sum(not peer.ended for peer in peers) == server.MAX_STRANGERS
        assert (await Caller(replica, aggregator, REMOTE).value("media", "web")).status == 200

    async def test_they_take_the_room_of_no_api_server(
        self, dial: Dialer, replica: Replica, aggregator: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its connection is older than all of theirs."""
        monkeypatch.setattr(listener, "HEAD_SECONDS", 600.0)
        ask = f"GET {BASE} HTTP/1.1\r\nHost: x\r\nX-Remote-User: {HPA}\r\n\r\n"
        api_server = await dial(aggregator, saying=ask)
        await until(lambda: replica.answered, what="an answer")
        peers = [await dial() for _ in range(server.MAX_STRANGERS + 1)]
        await until(lambda: peers[0].ended, what="the end of the oldest stranger's")
        api_server.say(ask)
        await until(lambda: replica.answered == [200, 200], what="another answer")


class TestHead:
    async def test_a_user_of_many_groups(self, dial: Dialer, aggregator: Pair, reviews: HpaMayRead) -> None:
        """The front proxy sends a header for each."""
        groups = [f"CN=group {number} of the company,OU=groups,DC=example,DC=com" for number in range(2000)]
        sent = "".join(f"X-Remote-Group: {group}\r\n" for group in groups)
        head = f"GET {BASE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Remote-User: {HPA}\r\n{sent}\r\n"
        assert b"200 OK" in await (await dial(aggregator, saying=head)).rest()
        assert reviews.specs[0]["groups"][:2000] == groups

    @attack("a request of endless headers", stopped_by="bounded size of what strangers may say")
    async def test_strangers_have_less_to_say(self, dial: Dialer) -> None:
        fields = "".join(f"X-{number}: {'x' * 1024}\r\n" for number in range(listener.HEAD_BYTES // 1024))
        peer = await dial(saying=f"GET /healthz HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
        assert await peer.rest() == b""

    @pytest.mark.parametrize(
        "text",
        [
            "\x16\x03\x01 garbage\r\n\r\n",
            "GET /apis HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            f"GET /{'x' * 20_000} HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
        ids=["not HTTP", "two lengths", "a long line"],
    )
    @attack("two lengths in one request, for a proxy and the server to disagree on", stopped_by="a strict parser")
    async def test_what_is_no_request_is_refused_and_counted(
        self, dial: Dialer, replica: Replica, text: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With a line for those who debug, and no traceback in the log."""
        with capture_logs() as logs:
            head, _, body = (await (await dial(saying=text)).rest()).partition(b"\r\n\r\n")
        refused = json.loads(body)
        assert b"application/json" in head
        assert (refused["kind"], refused["code"], refused["reason"]) == ("Status", 400, "BadRequest")
        assert replica.answered == [400]
        assert [line["log_level"] for line in logs] == ["debug"]
        assert not caplog.records


@pytest.mark.parametrize(
    ("usages", "days"),
    [([ExtendedKeyUsageOID.SERVER_AUTH], 1.0), ([ExtendedKeyUsageOID.CLIENT_AUTH], -0.001)],
    ids=["for servers", "expired"],
)
@attack("a good certificate that is for servers, or is over", stopped_by="the certificate's usage and time")
async def test_a_certificate_that_is_not_good_for_a_client(
    replica: Replica, front: Authority, usages: list[Any], days: float
) -> None:
    """Of the right authority, for the right name."""
    good = front.issue("good", common_name="front-proxy-client", usages=[ExtendedKeyUsageOID.CLIENT_AUTH])
    assert (await Caller(replica, good, REMOTE).value("media", "web")).status == 200
    bad = front.issue("bad", common_name="front-proxy-client", usages=usages, life=dt.timedelta(days=days))
    with pytest.raises(aiohttp.ClientError):
        await Caller(replica, bad, REMOTE).value("media", "web")
