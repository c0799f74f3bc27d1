"""Each way in which a Kafka can fail has an error of its own, comes in time, and is over when the cause is."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.sdk.kafka_views import Open, jobs, login, new_topic, open_kafka, take
from tests.support.authority import Authority
from tests.support.kafka import KafkaServer
from tests.support.waiting import until
from workerpool.broker import Credentials, NewJob
from workerpool.broker._kafka import KafkaBroker
from workerpool.errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    CredentialsMissing,
    QueueNotFound,
    TLSFailed,
)

pytestmark = [pytest.mark.component, pytest.mark.kafka]

__all__ = ["open_kafka"]  # a fixture


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def locked_server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[KafkaServer]:
    """One that speaks TLS only and lets in nobody but a worker."""
    folder = tmp_path_factory.mktemp("kafka-tls")
    with KafkaServer(folder, users={"worker": "pw"}, tls=(authority.cert, authority.key)) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path / "kafka") as server:
        yield server


async def fails_with(broker: KafkaBroker) -> BrokerError:
    """What a look, a put and a take fail with, all three in time."""
    found = []
    for call in (broker.depth(), broker.put([NewJob("t", b"1")]), broker.take(limit=1, wait=0.1)):
        with pytest.raises(BrokerError) as caught:
            await asyncio.wait_for(call, 20)
        found.append(caught.value)
    assert len({type(error) for error in found}) == 1, found
    assert "pw" not in str(found[0])
    return found[0]


class TestWhoAsks:
    async def test_a_refused_connection_is_unavailable(self, open_kafka: Open) -> None:
        assert isinstance(await fails_with(open_kafka("kafka://127.0.0.1:1")), BrokerUnavailable)

    async def test_a_name_that_does_not_resolve_is_unavailable(self, open_kafka: Open) -> None:
        assert isinstance(await fails_with(open_kafka("kafka://no-such-host.invalid")), BrokerUnavailable)

    async def test_one_of_several_servers_will_do(self, open_kafka: Open, kafka_server: KafkaServer) -> None:
        topic = await new_topic(kafka_server)
        url = kafka_server.url.replace("kafka://", "kafka://127.0.0.1:1,")
        assert (await open_kafka(url, topic=topic).depth()).unfinished == 0

    async def test_a_topic_that_is_not_there_is_not_made(self, open_kafka: Open, kafka_server: KafkaServer) -> None:
        error = await fails_with(open_kafka(kafka_server.url, topic="nowhere"))
        assert isinstance(error, QueueNotFound)
        assert "'nowhere'" in str(error)

    async def test_something_that_is_not_kafka(self, open_kafka: Open) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(8)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(BrokerError):
                await open_kafka(f"kafka://127.0.0.1:{port}", timeout=1).depth()

    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
    async def test_a_wrong_password(
        self, open_kafka: Open, locked_server: KafkaServer, authority: Authority, tmp_path: Path, mechanism: str
    ) -> None:
        files = login(tmp_path, "worker", "wrong", ca=authority.ca)
        broker = open_kafka(f"{locked_server.url}?sasl={mechanism}", credentials=files)
        assert isinstance(await fails_with(broker), AuthenticationFailed)
        login(tmp_path, "worker", "pw")  # credentials are read anew
        with pytest.raises(QueueNotFound):
            await broker.depth()

    async def test_no_password_where_one_is_wanted(
        self, open_kafka: Open, locked_server: KafkaServer, authority: Authority
    ) -> None:
        broker = open_kafka(locked_server.url, credentials=Credentials(ca_file=authority.ca))
        assert isinstance(await fails_with(broker), AuthenticationFailed)

    async def test_a_credentials_file_that_is_not_there(
        self, open_kafka: Open, locked_server: KafkaServer, tmp_path: Path
    ) -> None:
        broker = open_kafka(locked_server.url, credentials=Credentials(ca_file=tmp_path / "ca.crt"))
        assert isinstance(await fails_with(broker), CredentialsMissing)

    async def test_an_authority_that_we_do_not_know(
        self, open_kafka: Open, locked_server: KafkaServer, tmp_path: Path
    ) -> None:
        other = Authority(tmp_path / "other")
        broker = open_kafka(locked_server.url, credentials=login(tmp_path, "worker", "pw", ca=other.ca))
        assert isinstance(await fails_with(broker), TLSFailed)

    async def test_without_tls_to_one_that_wants_it(self, open_kafka: Open, locked_server: KafkaServer) -> None:
        url = locked_server.url.replace("kafka+ssl", "kafka")
        assert isinstance(await fails_with(open_kafka(url, timeout=2)), BrokerUnavailable | AuthenticationFailed)

    async def test_with_tls_to_one_that_has_none(self, open_kafka: Open, kafka_server: KafkaServer) -> None:
        url = kafka_server.url.replace("kafka", "kafka+ssl")
        assert isinstance(await fails_with(open_kafka(url, timeout=2)), TLSFailed | BrokerUnavailable)

    async def test_a_certificate_that_has_expired(self, open_kafka: Open, tmp_path: Path) -> None:
        late = Authority(tmp_path / "late", expired=True)
        with KafkaServer(tmp_path / "kafka", tls=(late.cert, late.key)) as server:
            error = await fails_with(open_kafka(server.url, credentials=Credentials(ca_file=late.ca)))
        assert isinstance(error, TLSFailed)
        assert "expired" in str(error)


async def test_jobs_in_flight_stay_ours_through_a_kill_and_a_restart(open_kafka: Open, own_server: KafkaServer) -> None:
    topic = await new_topic(own_server)
    broker = open_kafka(own_server.url, topic=topic, lease=60.0)
    await broker.put(jobs(3))
    taken = await take(broker, 2)
    assert await broker.ack(taken[:1]) == frozenset()
    own_server.kill()
    for call in (broker.depth(), broker.put(jobs(1)), broker.take(limit=1, wait=0.1), broker.ack(taken[1:])):
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(call, 30)
    await asyncio.to_thread(own_server.start)
    [last] = await take(broker, 1)
    assert (last.payload, last.attempt) == (b"2", 1)

    async def acknowledged() -> bool:
        return not await broker.ack([taken[1], last])

    await until(acknowledged, what="acknowledgements")
    depth = await broker.depth()
    assert (depth.unfinished, depth.arrivals_total) == (0, 3)


async def test_a_hung_server_is_told_in_time_and_goes_on(open_kafka: Open, own_server: KafkaServer) -> None:
    topic = await new_topic(own_server)
    await open_kafka(own_server.url, topic=topic, timeout=30.0).put(jobs(1))  # topics are made, which takes its time
    broker = open_kafka(own_server.url, topic=topic, timeout=1.0, lease=60.0)

    async def put() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            return await broker.put(jobs(1)) == 1
        return False

    await until(put, what="another job")
    [job] = await take(broker, 1)
    own_server.pause()
    try:
        for call in (broker.depth(), broker.put(jobs(1)), broker.ack([job])):
            with pytest.raises(BrokerUnavailable):
                await asyncio.wait_for(call, 15)
    finally:
        own_server.resume()
    await until(lambda: _settled(broker), what="an answer")
    assert len(await take(broker, 1)) == 1


async def _settled(broker: KafkaBroker) -> bool:
    try:
        return (await broker.depth()).waiting >= 1
    except BrokerUnavailable:
        return False
