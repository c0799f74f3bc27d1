"""A connection that speaks AMQP 0-9-1, with one channel on it: calls out, answers and deliveries in.

Why not aio-pika: it dials anew and subscribes again behind its caller's back, and so hides the end of a connection,
which is when every job in flight stops being ours. Why not aiormq below it: it runs a task for each call and for each
delivery, sends one frame at a time and waits for the answer, so that a batch costs a round trip for each of its jobs,
and keeps to itself that RabbitMQ has blocked the connection. What a broker needs of a client is here; the frames are
written and read by pamqp, as in both.

Answers of one kind come in the order of the calls, and those of different kinds do not: what a quorum queue answers
(that a consumer begins, or ends) its channel sends after what it answers itself meanwhile.

One channel: whatever ends a channel (a refusal, a consumer that was too slow) gives its jobs back to the queue, as the
end of a connection does, so the connection is ended with it and nobody has to tell the two apart.
"""

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from pamqp import base, body, commands, exceptions, frame, header, heartbeat

from workerpool._own_thread import Lookup
from workerpool.broker._rabbitmq.messages import (
    CHANNEL,
    FRAME_MAX,
    ConnectionLostError,
    Delivery,
    HungUpError,
    Login,
    Message,
    NotAmqpError,
    RefusedError,
    RejectedError,
    Unconfirmed,
    UnroutableError,
    parts_of,
)

F = TypeVar("F", bound=base.Frame)

_PROTOCOL: Final = b"AMQP\x00\x00\x09\x01"
_HEAD: Final = struct.Struct(">BHI")
_FRAME_TYPES: Final = frozenset({1, 2, 3, 8})
_PROPERTIES: Final[Mapping[str, Any]] = {
    "product": "workerpool",
    "capabilities": {
        "authentication_failure_close": True,  # else a wrong password is a connection that ends without a word
        "basic.nack": True,
        "connection.blocked": True,
        "consumer_cancel_notify": True,
        "publisher_confirms": True,
    },
}


class AmqpConnection(asyncio.Protocol):
    """One connection. Calls may overlap: each waits for its own answer, and one that is given up is skipped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: deque[tuple[tuple[type[base.Frame], ...], asyncio.Future[Any]]] = deque()
        self._unconfirmed = Unconfirmed()
        self._transport: asyncio.Transport | None = None
        self._ended: Exception | None = None
        self._gone = asyncio.Event()
        self._spoken = False
        self._coming: Any = None  # the delivery, or returned message, of which parts are still to come
        self._header: header.ContentHeader | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._heard = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self._on_delivery: Callable[[Delivery], None] = _nobody
        self._on_end: Callable[[], None] = _nothing
        self.cluster = ""
        """The name of RabbitMQ's cluster."""
        self.blocked = ""
        """Why RabbitMQ reads nothing from us now: it is short of memory or of room on its disk."""

    @classmethod
    async def open(cls, lookup: Lookup, port: int, *, tls: ssl.SSLContext | None, login: Login) -> "AmqpConnection":
        """Connect to the first of the host's addresses that can be had, log in, and open the channel.

        Raises:
            OSError, ssl.SSLError: it cannot be had.
            RefusedError, HungUpError, ConnectionLostError, NotAmqpError: it does not let us in.
        """
        loop, errors = asyncio.get_running_loop(), []
        name = lookup.host if tls is not None else None
        for address in await lookup.addresses():
            try:
                _, connection = await loop.create_connection(cls, address.host, port, ssl=tls, server_hostname=name)
            except ssl.SSLError:
                raise
            except OSError as error:
                errors.append(error)
            else:
                try:
                    await connection._log_in(login)  # noqa: SLF001  its own
                except (ConnectionLostError, ConnectionError) as error:
                    if tls is None or connection._spoken:  # noqa: SLF001  its own
                        raise
                    raise HungUpError(str(error)) from error  # why is told by TLS, and may be lost on its way
                return connection
        raise errors[0] if len(errors) == 1 else OSError("; ".join(str(error) for error in errors))

    @property
    def usable(self) -> bool:
        """Whether it has not ended."""
        return self._ended is None and self._transport is not None

    def check(self) -> None:
        """Raise what has ended it, if something has."""
        if self._ended is not None:
            raise self._ended

    def listen(self, on_delivery: Callable[[Delivery], None], on_end: Callable[[], None]) -> None:
        """Who hears of deliveries, as soon as they are complete, and of the end."""
        self._on_delivery, self._on_end = on_delivery, on_end

    async def call(self, method: base.Frame, kind: type[F], *, channel: int = CHANNEL) -> F:
        """The answer to a method that has one.

        Raises:
            RefusedError, ConnectionLostError, NotAmqpError, OSError: no answer will come.
        """
        answer = self._expect(kind)
        self.send(method, channel=channel)
        return await answer

    async def consume(self, queue: str, tag: str, *, prefetch: int) -> None:
        """Begin to be given messages, so many at a time at most; errors as in `call`.

        A consumer has the prefetch that was said last: nobody else's call may come in between.
        """
        answers = self._expect(commands.Basic.QosOk), self._expect(commands.Basic.ConsumeOk)
        self.send(commands.Basic.Qos(prefetch_count=prefetch), commands.Basic.Consume(queue=queue, consumer_tag=tag))
        await asyncio.gather(*answers)

    async def get(self, queue: str, count: int) -> int:
        """Be given a queue's first messages, at most so many; returns how many came. Errors as in `call`."""
        answers = [self._expect(commands.Basic.GetOk, commands.Basic.GetEmpty) for _ in range(count)]
        self.send(*(commands.Basic.Get(queue=queue) for _ in answers))
        return sum(isinstance(answer, commands.Basic.GetOk) for answer in await asyncio.gather(*answers))

    def send(self, *methods: base.Frame, channel: int = CHANNEL) -> None:
        """Write methods that have no answer, or whose answer somebody expects.

        Raises:
            ConnectionLostError: it has ended.
        """
        self._write([frame.marshal(method, channel) for method in methods])

    async def publish(self, messages: Sequence[Message]) -> None:
        """Put messages into their queues; returns when RabbitMQ has all of them on the disks of a majority.

        Raises:
            UnroutableError, RejectedError: some were not taken; others may have been.
            RefusedError, ConnectionLostError, NotAmqpError, OSError: any of them may have been.
        """
        if not messages:
            return
        self._require()
        data = parts_of(messages)
        confirmed = self._unconfirmed.add(len(messages))
        self._write(data)
        await confirmed

    async def leave(self) -> None:
        """Say goodbye, so that RabbitMQ does not take it for a crash, and end it."""
        if self.usable:
            self.send(commands.Connection.Close(200, "", 0, 0), channel=0)
            await self._gone.wait()
        self.close()

    def close(self) -> None:
        """End it now."""
        self._end(ConnectionLostError("we have ended it"))
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard = asyncio.get_running_loop().time()
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._heard = asyncio.get_running_loop().time()
        self._buffer += data
        try:
            self._read()
        except (exceptions.UnmarshalingException, NotAmqpError, struct.error, ValueError, KeyError) as error:
            self._end(error if isinstance(error, NotAmqpError) else NotAmqpError(str(error)))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._end(exc or ConnectionLostError("closed by the server"))

    async def _log_in(self, login: Login) -> None:
        try:
            answer = self._expect(commands.Connection.Start)
            self._write([_PROTOCOL])
            start = await answer
            self.cluster = _text((start.server_properties or {}).get("cluster_name"))
            mechanism, secret = "PLAIN", f"\0{login.username}\0{login.password}"
            if login.by_certificate and "EXTERNAL" in _text(start.mechanisms).split():
                mechanism, secret = "EXTERNAL", ""
            properties = {**_PROPERTIES, "connection_name": login.name}
            tune = await self.call(
                commands.Connection.StartOk(properties, mechanism, secret), commands.Connection.Tune, channel=0
            )
            beat = min(login.heartbeat_seconds, tune.heartbeat or login.heartbeat_seconds)
            self.send(commands.Connection.TuneOk(CHANNEL, _agreed(tune.frame_max or FRAME_MAX), beat), channel=0)
            await self.call(commands.Connection.Open(login.vhost), commands.Connection.OpenOk, channel=0)
            self._keep_alive(beat)
            await self.call(commands.Channel.Open(), commands.Channel.OpenOk)
            await self.call(commands.Confirm.Select(), commands.Confirm.SelectOk)
        except BaseException:
            self.close()
            await asyncio.sleep(0)  # let the transport close its socket
            raise

    def _keep_alive(self, seconds: int) -> None:
        """Send a heartbeat twice per interval, and end the connection after two intervals of silence."""
        loop = asyncio.get_running_loop()
        if self._ended is not None:
            return
        if loop.time() - self._heard > 2 * seconds:
            self._end(ConnectionLostError(f"not a byte came for {2 * seconds} s"))
            self.close()
            return
        self._write([frame.marshal(heartbeat.Heartbeat(), 0)])
        self._beat = loop.call_later(seconds / 2, self._keep_alive, seconds)

    def _require(self) -> None:
        if self._ended is not None or self._transport is None:
            raise ConnectionLostError(str(self._ended) or "the connection has ended") from self._ended

    def _expect(self, *kinds: type[F]) -> "asyncio.Future[F]":
        self._require()
        answer: asyncio.Future[F] = asyncio.get_running_loop().create_future()
        self._waiting.append((kinds, answer))
        return answer

    def _write(self, data: Sequence[bytes]) -> None:
        self._require()
        assert self._transport is not None
        self._transport.write(b"".join(data))

    def _read(self) -> None:
        """Take all complete frames from the buffer."""
        if not self._spoken and self._buffer:
            if self._buffer[0] not in _FRAME_TYPES:
                raise NotAmqpError("it does not speak AMQP 0-9-1")
            self._spoken = True
        start = 0
        while len(self._buffer) - start >= _HEAD.size:
            kind, channel, size = _HEAD.unpack_from(self._buffer, start)
            if kind not in _FRAME_TYPES or size > FRAME_MAX:
                raise NotAmqpError("this is no frame of AMQP 0-9-1")
            end = start + _HEAD.size + size + 1
            if len(self._buffer) < end:
                break
            if kind != 8:  # noqa: PLR2004  a heartbeat: that it came is all
                self._take(frame.unmarshal(bytes(self._buffer[start:end]))[2], channel)
            start = end
        del self._buffer[:start]

    def _take(self, found: Any, channel: int) -> None:
        match found:
            case header.ContentHeader() | body.ContentBody():
                self._content(found)
            case commands.Basic.Deliver() | commands.Basic.GetOk() | commands.Basic.Return():
                self._coming = found
            case commands.Basic.Ack() | commands.Basic.Nack():
                self._confirm(found)
            case commands.Connection.Blocked():
                self.blocked = found.reason or "an alarm"
            case commands.Connection.Unblocked():
                self.blocked = ""
            case commands.Channel.Close() | commands.Connection.Close():
                self._refused(found, channel)
            case commands.Basic.Cancel():
                # The queue was deleted, or its leader is gone: a new connection finds out which.
                self._end(ConnectionLostError("RabbitMQ cancelled the consumer: the queue is gone, or moves"))
                self.close()
            case commands.Connection.CloseOk():
                self.close()  # what was asked before and not answered never will be
            case base.Frame():
                self._answer(found)

    def _content(self, found: header.ContentHeader | body.ContentBody) -> None:
        """A part of what comes; once it is the last one, somebody hears of it."""
        if isinstance(found, header.ContentHeader):
            self._header, self._parts, self._missing = found, [], found.body_size
        else:
            part = found.value or b""
            self._parts.append(part)
            self._missing -= len(part)
        if self._missing or self._header is None:
            return
        coming, self._coming = self._coming, None
        content, properties = b"".join(self._parts), self._header.properties
        self._header, self._parts = None, []
        if isinstance(coming, commands.Basic.Return):
            self._unconfirmed.returned(UnroutableError(f"there is no queue {coming.routing_key}"))
        elif isinstance(coming, commands.Basic.Deliver | commands.Basic.GetOk):
            consumer = getattr(coming, "consumer_tag", "")
            tag, again = coming.delivery_tag or 0, bool(coming.redelivered)
            self._on_delivery(Delivery(consumer, tag, again, properties, content))
            if isinstance(coming, commands.Basic.GetOk):
                self._answer(coming)

    def _confirm(self, found: commands.Basic.Ack | commands.Basic.Nack) -> None:
        problem = None
        if isinstance(found, commands.Basic.Nack):
            problem = RejectedError("RabbitMQ could not write a message to its queue")
        if not self._unconfirmed.confirm(found.delivery_tag or 0, multiple=found.multiple, problem=problem):
            raise NotAmqpError("a confirmation of what was not sent")

    def _refused(self, found: commands.Channel.Close | commands.Connection.Close, channel: int) -> None:
        error = RefusedError(found.reply_code or 0, found.reply_text or "")
        answer = commands.Channel.CloseOk() if channel else commands.Connection.CloseOk()
        if self.usable:
            self.send(answer, channel=channel)
        self._end(error)
        if self._transport is not None:
            self._transport.close()

    def _answer(self, found: base.Frame) -> None:
        for number, (kinds, answer) in enumerate(self._waiting):
            if isinstance(found, kinds):
                del self._waiting[number]
                if not answer.done():  # given up by its caller
                    answer.set_result(found)
                return
        raise NotAmqpError(f"{found.name}, which nobody asked for")

    def _end(self, why: Exception) -> None:
        if self._ended is not None:
            return
        self._ended = why
        self._gone.set()
        if self._beat is not None:
            self._beat.cancel()
        waiting, self._waiting = self._waiting, deque()
        for _, answer in waiting:
            if not answer.done():
                answer.set_exception(why)
        self._unconfirmed.end(why)
        self._on_end()


def _agreed(frame_max: int) -> int:
    """A header of ours must fit into a frame.

    Raises:
        RefusedError: what RabbitMQ was set to take is too short for that.
    """
    if frame_max < FRAME_MAX:
        raise RefusedError(0, f"its frames hold {frame_max} bytes, and {FRAME_MAX} are needed: raise its frame_max")
    return FRAME_MAX


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _nobody(_delivery: Delivery) -> None:
    """Deliveries of a connection that has no consumer: there are none."""


def _nothing() -> None:
    """Nobody cares."""
