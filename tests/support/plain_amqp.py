"""The least that speaks AMQP 0-9-1, without anything of the SDK: frames of pamqp over a socket, one call at a time."""

import socket
import struct
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pamqp import base, body, commands, frame, header

F = TypeVar("F", bound=base.Frame)


class PlainAmqp:
    """One connection with one channel, as `guest`, whose puts are confirmed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self._buffer = b""

    def __enter__(self) -> Self:
        self._socket.sendall(b"AMQP\x00\x00\x09\x01")
        self._read(commands.Connection.Start)
        self._call(commands.Connection.StartOk({}, "PLAIN", "\0guest\0guest"), commands.Connection.Tune, channel=0)
        self._send(commands.Connection.TuneOk(1, 131072, 0), channel=0)
        self._call(commands.Connection.Open("/"), commands.Connection.OpenOk, channel=0)
        self._call(commands.Channel.Open(), commands.Channel.OpenOk)
        self._call(commands.Confirm.Select(), commands.Confirm.SelectOk)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def declare(self, queue: str, arguments: dict[str, Any]) -> None:
        self._call(commands.Queue.Declare(queue=queue, durable=True, arguments=arguments), commands.Queue.DeclareOk)

    def put(self, queue: str, payload: bytes, **properties: Any) -> None:
        """Returns when it is confirmed."""
        said = commands.Basic.Properties(delivery_mode=2, **properties)
        self._send(commands.Basic.Publish(routing_key=queue, mandatory=True))
        self._send(header.ContentHeader(body_size=len(payload), properties=said))
        self._send(body.ContentBody(payload))
        self._read(commands.Basic.Ack)

    def get(self, queue: str) -> tuple[int, commands.Basic.Properties, bytes] | None:
        """Delivery tag, properties and payload of the first message, which has to be acknowledged."""
        self._send(commands.Basic.Get(queue=queue))
        answer = self._next()
        if isinstance(answer, commands.Basic.GetEmpty):
            return None
        assert isinstance(answer, commands.Basic.GetOk)
        head = self._next()
        assert isinstance(head, header.ContentHeader)
        payload = b""
        while len(payload) < head.body_size:
            part = self._next()
            assert isinstance(part, body.ContentBody)
            payload += part.value or b""
        return answer.delivery_tag or 0, head.properties, payload

    def ack(self, tag: int) -> None:
        """Returns when RabbitMQ has read it."""
        self._send(commands.Basic.Ack(tag))
        self._call(commands.Basic.Qos(prefetch_count=1), commands.Basic.QosOk)

    def _call(self, method: base.Frame, kind: type[F], *, channel: int = 1) -> F:
        self._send(method, channel=channel)
        return self._read(kind)

    def _send(self, value: Any, *, channel: int = 1) -> None:
        self._socket.sendall(frame.marshal(value, channel))

    def _read(self, kind: type[F]) -> F:
        found = self._next()
        assert isinstance(found, kind), found
        return found

    def _next(self) -> Any:
        while len(self._buffer) < 7 or len(self._buffer) < struct.unpack(">I", self._buffer[3:7])[0] + 8:
            more = self._socket.recv(65536)
            assert more, "RabbitMQ hung up"
            self._buffer += more
        consumed, _, found = frame.unmarshal(self._buffer)
        self._buffer = self._buffer[consumed:]
        return found
