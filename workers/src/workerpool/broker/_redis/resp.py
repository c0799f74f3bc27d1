"""A connection that speaks Redis' protocol (RESP2): commands out, answers in the same order.

Why not redis-py: it takes 0.4 s of CPU to import, which twelve workers that start on two cores feel more than
anything else; its timeouts swallow cancellations before Python 3.12, and take a late answer for none, so that the next
command would read it. What a broker needs of a client is here; the parser is hiredis, as in redis-py.
"""

import asyncio
import socket
import ssl
from collections import deque
from typing import Any, Final, NamedTuple, cast

import hiredis

from workerpool._own_thread import Lookup


class RedisReplyError(Exception):
    """Redis answered a command with an error; the text begins with its code."""


class ConnectionLostError(Exception):
    """The connection ended."""


class NotRedisError(Exception):
    """What came is not Redis' protocol."""


CUT_OFF: Final = object()
"""Stands for an answer that was too long."""


class RespConnection(asyncio.Protocol):
    """One connection. Calls may overlap: each waits for its own answer, and one that is given up is skipped."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(protocolError=NotRedisError, replyError=RedisReplyError)
        self._waiting: deque[_Call] = deque()
        self._transport: asyncio.Transport | None = None
        self._ended: BaseException | None = None

    @classmethod
    async def open(cls, lookup: Lookup, port: int, *, tls: ssl.SSLContext | None) -> "RespConnection":
        """Connect to the first of the host's addresses that can be had.

        Raises:
            OSError, ssl.SSLError: it cannot be had.
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
                return connection
        raise errors[0] if len(errors) == 1 else OSError("; ".join(str(error) for error in errors))

    @property
    def usable(self) -> bool:
        """Whether it has not ended."""
        return self._ended is None and self._transport is not None

    async def call(self, *command: Any, cut_off: int | None = None) -> Any:
        """The answer: bytes, ints, lists, None.

        One that grows longer than `cut_off` bytes is not waited for: it is CUT_OFF, and ends the connection.

        Raises:
            RedisReplyError: Redis refused the command.
            ConnectionLostError, NotRedisError, OSError: no answer will come.
        """
        if self._ended is not None or self._transport is None:
            raise ConnectionLostError("the connection has ended") from self._ended
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(answer, cut_off))
        self._transport.write(hiredis.pack_command(command))
        return await answer

    def close(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._answer(reply)
            self._cut_off()
        except (NotRedisError, ConnectionLostError) as error:
            self._end(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._end(exc or ConnectionLostError("closed by the server"))

    def _answer(self, reply: Any) -> None:
        if not self._waiting:
            raise NotRedisError("an answer that nobody asked for")
        answer = self._waiting.popleft().answer
        if answer.done():  # given up by its caller
            return
        if isinstance(reply, RedisReplyError):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    def _cut_off(self) -> None:
        longest = self._waiting[0].cut_off if self._waiting else None
        if longest is not None and self._reader.len() > longest:
            self._answer(CUT_OFF)
            raise ConnectionLostError("the answer before was too long")

    def _end(self, why: Exception) -> None:
        self._ended = self._ended or why
        waiting, self._waiting = self._waiting, deque()
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(self._ended)


class _Call(NamedTuple):
    """A command that was sent."""

    answer: asyncio.Future[Any]
    cut_off: int | None
