"""Who may use a queue in RabbitMQ, and by which address: each refusal has an error of its own."""

import asyncio
import secrets
from pathlib import Path

import pytest
from pamqp import commands

from tests.component.sdk.test_rabbitmq_failures import Open, credentials, open_broker, raw
from tests.support.rabbitmq import RabbitServer
from workerpool import broker as brokers
from workerpool.broker import Credentials
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerUnavailable,
    ConfigurationError,
    CredentialsMissing,
    QueueNotFound,
)

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

__all__ = ["open_broker"]  # a fixture


class TestWhoAsks:
    async def test_a_refused_connection_is_unavailable(self, open_broker: Open) -> None:
        with pytest.raises(BrokerUnavailable):
            await open_broker(url="amqp://127.0.0.1:1").depth()

    async def test_a_name_that_does_not_resolve_is_unavailable(self, open_broker: Open) -> None:
        with pytest.raises(BrokerUnavailable):
            await open_broker(url="amqp://no-such-host.invalid").depth()

    async def test_something_that_is_not_rabbitmq_is_a_bad_answer(self, open_broker: Open) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(8)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(BadAnswer):
                await open_broker(url=f"amqp://127.0.0.1:{port}").depth()

    @pytest.mark.parametrize("given", [("guest", "wrong"), ("nobody", "guest")])
    async def test_wrong_credentials(self, open_broker: Open, tmp_path: Path, given: tuple[str, str]) -> None:
        with pytest.raises(AuthenticationFailed) as caught:
            await open_broker(credentials=credentials(tmp_path, *given)).depth()
        assert "wrong" not in str(caught.value)

    async def test_a_virtual_host_that_is_not_there(self, open_broker: Open, rabbitmq_server: RabbitServer) -> None:
        with pytest.raises(QueueNotFound, match="nowhere"):
            await open_broker(url=f"{rabbitmq_server.url}/nowhere").depth()

    async def test_a_virtual_host_that_is_others(self, open_broker: Open, tmp_path: Path) -> None:
        with pytest.raises(AuthenticationFailed, match="refused for user"):
            await open_broker(credentials=credentials(tmp_path, "elsewhere", "pw")).depth()

    async def test_a_virtual_host_of_ones_own(
        self, open_broker: Open, rabbitmq_server: RabbitServer, tmp_path: Path
    ) -> None:
        files = credentials(tmp_path, "elsewhere", "pw")
        assert (await open_broker(url=f"{rabbitmq_server.url}/other", credentials=files).depth()).waiting == 0

    async def test_a_user_without_rights_on_the_queue(self, open_broker: Open, tmp_path: Path) -> None:
        with pytest.raises(AuthenticationFailed, match="access to queue"):
            await open_broker(credentials=credentials(tmp_path, "weak", "pw")).depth()

    async def test_a_credentials_file_that_is_not_there(self, open_broker: Open, tmp_path: Path) -> None:
        with pytest.raises(CredentialsMissing, match="password"):
            await open_broker(credentials=Credentials(password_file=tmp_path / "password")).depth()

    async def test_credentials_are_read_anew_for_each_connection(self, open_broker: Open, tmp_path: Path) -> None:
        broker = open_broker(credentials=credentials(tmp_path, "guest", "wrong"))
        with pytest.raises(AuthenticationFailed):
            await broker.depth()
        credentials(tmp_path, "guest", "guest")
        assert (await broker.depth()).waiting == 0

    async def test_a_queue_that_was_declared_otherwise(self, open_broker: Open) -> None:
        connection = await raw(open_broker(stream="others"))
        name = f"classic-{secrets.token_hex(4)}"
        await connection.call(commands.Queue.Declare(queue=name, durable=True), commands.Queue.DeclareOk)
        with pytest.raises(QueueNotFound, match="declared otherwise"):
            await open_broker(stream=name).take(limit=1, wait=0.1)


@pytest.mark.parametrize(
    "url", ["amqp://", "amqp:///v", "amqp://h:port", "amqp://h/a/b", "amqp://h/?heartbeat=1", "amqp://h/#x"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqp://host:5672/vhost"):
        brokers.connect(url, stream="q")


def test_a_queue_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="name"):
        brokers.connect("amqp://h")
