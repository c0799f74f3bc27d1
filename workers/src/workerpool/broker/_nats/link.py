"""A NATS server, by one connection at a time: dialled when needed, dropped when it fails, then dialled anew.

nats-py could reconnect by itself. It does not here: it would repeat nothing that was under way, tell nobody that a pull
is gone, and keep the credentials that it began with. A new connection reads them, and the CA, anew. All answers come to
one inbox, so a lost connection fails what waits for one at once.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, Error, MaxPayloadError

from workerpool.broker._credentials import Credentials
from workerpool.broker._nats.address import NatsAddress
from workerpool.broker._nats.answers import ApiError, NoRespondersError
from workerpool.broker._nats.clock import ServerClock
from workerpool.broker._nats.dialling import Connection, Dialler
from workerpool.errors import AuthenticationFailed, BadAnswer, BrokerError, BrokerUnavailable, PayloadInvalid

API: Final = "$JS.API."
_NO_RESPONDERS: Final = "503"
_PULLED: Final = "pulled"
_SILENT_SECONDS: Final = 1.0
"""That a pull may be answered late, beyond what it was to wait."""


class Request(NamedTuple):
    """Something that is answered once."""

    subject: str
    payload: bytes = b""
    headers: dict[str, str] | None = None


class NatsLink:
    """Calls to one NATS, each answered or failed within `timeout` seconds."""

    def __init__(self, address: NatsAddress, credentials: Credentials, *, timeout: float) -> None:
        self._timeout = timeout
        self._dialler = Dialler(address, credentials, timeout=timeout)
        self._dialling: asyncio.Task[Connection] | None = None
        self._connection: Connection | None = None
        self._inbox = ""
        self._waiting: dict[str, tuple[str, Callable[[Msg | BrokerError], None]]] = {}
        self._number = 0
        self._collecting = ""
        self._clock = ServerClock()
        self.generation = 0
        """Number of the latest connection: a change tells that one was lost in between."""

    @property
    def connected(self) -> bool:
        """Whether a connection stands."""
        return self._connection is not None and self._connection.is_connected

    async def ask(self, requests: Sequence[Request]) -> list[Msg]:
        """The answers, in the order of the requests, which are sent together.

        Raises:
            NoRespondersError: nobody listens to a subject.
            PayloadInvalid: one is larger than the server takes.
            BrokerError: another of its kinds.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Msg]] = [loop.create_future() for _ in requests]

        def sink(future: "asyncio.Future[Msg]") -> Callable[[Msg | BrokerError], None]:
            return lambda answer: _resolve(future, answer)

        tokens: list[str] = []
        try:
            connection = await self._connected()
            for request, future in zip(requests, futures, strict=True):
                tokens.append(self._expect(request.subject, sink(future)))
                reply = f"{self._inbox}.{tokens[-1]}"
                await connection.publish(request.subject, request.payload, reply=reply, headers=request.headers)
            async with asyncio.timeout(self._timeout):
                return [_heeded(await future) for future in futures]
        except TimeoutError as error:
            await self.close()  # a server that hangs: whatever comes now comes too late
            raise BrokerUnavailable(f"{self._dialler.where}: no answer within {self._timeout:g} s") from error
        except MaxPayloadError as error:
            raise PayloadInvalid(f"the job is larger than the server takes: {connection.max_payload} bytes") from error
        except (ConnectionClosedError, OSError, Error) as error:
            raise BrokerUnavailable(f"{self._dialler.where}: {error}") from error
        finally:
            for token in tokens:
                self._waiting.pop(token, None)
            for future in futures:
                if future.done() and not future.cancelled():
                    future.exception()  # one of them was raised

    async def api(self, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What JetStream's API answers.

        Raises:
            ApiError: it refuses.
            BrokerError: another of its kinds.
        """
        payload = json.dumps(body).encode() if body is not None else b""
        try:
            [message] = await self.ask([Request(API + name, payload)])
        except NoRespondersError as error:
            raise BrokerUnavailable(f"{self._dialler.where}: JetStream is not enabled, or has no leader now") from error
        answer = decoded(message.data)
        if "error" in answer:
            raise ApiError.of(answer["error"])
        if isinstance(answer.get("ts"), str):
            self._clock.hear(datetime.fromisoformat(answer["ts"]).timestamp())
        return answer

    async def collect(self, subject: str, payload: bytes, *, most: int, seconds: float) -> list[Msg]:
        """Messages that come in answer to one request, until `most` or until the server says that these were all.

        One such request at a time: they come under their own subjects, so nothing in them tells what they answer.
        `seconds`: how long it may wait for the first.

        Raises:
            BrokerError: one of its kinds; never after messages came, these are ours.
        """
        queue: asyncio.Queue[Msg | BrokerError] = asyncio.Queue()
        connection = await self._connected()
        token = self._expect(subject, queue.put_nowait)
        self._collecting = token
        found: list[Msg] = []
        try:
            await connection.publish(subject, payload, reply=f"{self._inbox}.{_PULLED}.{token}")
            async with asyncio.timeout(seconds + self._timeout + _SILENT_SECONDS):
                while len(found) < most:
                    message = await queue.get()
                    if isinstance(message, BrokerError):
                        raise message
                    status = (message.headers or {}).get("Status")
                    if status is not None and not message.reply:
                        _check_end(status, message)
                        break
                    found.append(message)
        except TimeoutError as error:
            await self.close()
            if not found:
                raise BrokerUnavailable(f"{self._dialler.where}: no answer to a pull") from error
        except (ConnectionClosedError, OSError, Error) as error:
            if not found:
                raise BrokerUnavailable(f"{self._dialler.where}: {error}") from error
        except BrokerError:
            if not found:
                raise
        finally:
            self._waiting.pop(token, None)
        return found

    async def tell(self, subjects: Sequence[str], payload: bytes) -> None:
        """Say the same to several of JetStream's own subjects, and wait until the last one was heard of.

        It hears in order, so then it has heard of all.
        """
        if not subjects:
            return
        connection = await self._connected()
        try:
            for subject in subjects[:-1]:
                await connection.publish(subject, payload)
        except (ConnectionClosedError, OSError, Error) as error:
            raise BrokerUnavailable(f"{self._dialler.where}: {error}") from error
        await self.ask([Request(subjects[-1], payload)])

    async def listen(self, subject: str, seconds: float) -> "Listening":
        """Hear of the next message on a subject, within so many seconds."""
        connection = await self._connected()
        return await Listening.begin(connection, subject, seconds)

    def now(self) -> float:
        """Unix seconds by the server's clock."""
        return self._clock.now()

    async def close(self) -> None:
        """Close the connection. Never raises."""
        dialling, self._dialling = self._dialling, None
        if dialling is not None and not dialling.done():
            dialling.cancel()
            await asyncio.wait([dialling])
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.hang_up()
        self._lost("the connection was closed")

    def _expect(self, subject: str, sink: Callable[[Msg | BrokerError], None]) -> str:
        self._number += 1
        token = f"{self._number:x}"
        self._waiting[token] = (subject, sink)
        return token

    async def _heard(self, message: Msg) -> None:
        found = self._waiting.get(message.subject.rpartition(".")[2])
        if found is not None:
            found[1](message)

    async def _pulled(self, message: Msg) -> None:
        if message.subject.startswith(self._inbox):  # the end of a pull, maybe of one that was given up
            await self._heard(message)
        elif self._collecting in self._waiting:
            self._waiting[self._collecting][1](message)

    def _lost(self, why: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for _, sink in waiting.values():
            sink(BrokerUnavailable(f"{self._dialler.where}: {why}"))

    def _forbidden(self, text: str) -> None:
        """The server says so beside the answers: to publish to a subject, or to hear at our inbox at all."""
        said = text.lower()  # as nats-py has made it anyway
        for subject, sink in list(self._waiting.values()):
            if f'"{subject.lower()}"' in said or "subscription" in said:
                sink(AuthenticationFailed(f"not allowed: {text}"))

    async def _connected(self) -> Connection:
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        if self._dialling is None or self._dialling.done():
            self._dialling = asyncio.create_task(self._dial())
            self._dialling.add_done_callback(_heed)
        # Who gives up must get away: nats-py swallows a cancellation that comes with the end of what it waits for.
        return await asyncio.shield(self._dialling)

    async def _dial(self) -> Connection:
        former, self._connection = self._connection, None
        if former is not None:
            await former.hang_up()
        connection = await self._dialler.dial(lost=self._lost, forbidden=self._forbidden)
        self._connection = connection  # from here on `close` closes it
        self._inbox = f"_INBOX.{os.urandom(12).hex()}"
        self.generation += 1
        await connection.hear(f"{self._inbox}.*", self._heard)
        await connection.hear(f"{self._inbox}.{_PULLED}.*", self._pulled)
        return connection


class Listening:
    """To one message on one subject."""

    def __init__(self, subscription: Any, future: "asyncio.Future[Msg]", until: float) -> None:
        self._subscription = subscription
        self._future = future
        self._until = until

    @classmethod
    async def begin(cls, connection: Connection, subject: str, seconds: float) -> "Listening":
        """Nothing is missed from the next answer of this server on: it does one thing after the other."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Msg] = loop.create_future()
        subscription = await connection.client.subscribe(subject, future=future, max_msgs=1)
        return cls(subscription, future, loop.time() + seconds)

    async def end(self) -> bool:
        """Wait; return whether one came."""
        try:
            async with asyncio.timeout_at(self._until):
                await self._future
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Hear no more."""
        self._future.cancel()
        with contextlib.suppress(Error, OSError):
            await self._subscription.unsubscribe()


def decoded(data: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BadAnswer: it is none.
    """
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise BadAnswer("the answer is no JSON: is this JetStream?") from error
    if not isinstance(answer, dict):
        raise BadAnswer("the answer is no JSON object: is this JetStream?")
    return answer


def _heed(dialled: "asyncio.Task[Connection]") -> None:
    """Whoever dialled may have given up, and nobody else looks at the error."""
    if not dialled.cancelled():
        dialled.exception()


def _resolve(future: "asyncio.Future[Msg]", answer: Msg | BrokerError) -> None:
    if future.done():
        return
    if isinstance(answer, BrokerError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _heeded(message: Msg) -> Msg:
    if (message.headers or {}).get("Status") == _NO_RESPONDERS:
        raise NoRespondersError("nobody listens")
    return message


def _check_end(status: str, message: Msg) -> None:
    """404 and 408: there was no more. The others say that the consumer is away, or is none."""
    if status in {"404", "408"}:
        return
    description = (message.headers or {}).get("Description", "")
    if status == _NO_RESPONDERS:
        raise NoRespondersError("nobody listens")
    raise BrokerUnavailable(f"a pull ended with {status} {description}")
