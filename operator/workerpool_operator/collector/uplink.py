"""The way up: one WebSocket to each replica of the operator, all of which hear the same; only the leader gives orders.

What changes goes up, and every `BEAT_SECONDS` that all the rest holds (`holding`).

The stream Service is headless, so its name resolves to the replicas. Orders carry the leader's epoch, and one that is
lower than the highest seen is refused: a leader that does not know yet that it was replaced moves nothing.
"""

import asyncio
import math
import random
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp
import structlog
from pydantic import BaseModel

from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.collector.holding import BEAT_SECONDS
from workerpool_operator.protocol import (
    HOLDS_PROTOCOL,
    STREAM_PATH,
    Config,
    Down,
    Fence,
    Holds,
    PastArrivals,
    PoolSettings,
    ReadNow,
    Role,
    Unheld,
    decode_down,
)
from workerpool_operator.protocol.outbox import Outbox

RESOLVE_SECONDS: Final = 2.0
RECONNECT_FIRST_SECONDS: Final = 0.2
RECONNECT_MAX_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5.0
PING_SECONDS: Final = 5.0
MAX_FRAME_BYTES: Final = 8 * 2**20
GATHER_SECONDS: Final = 0.02
"""Changes within this time go up in one message for each subject."""

_HELD: Final = ("samples", "workers")

_log = structlog.get_logger(__name__)


class Uplink:
    """Carries what the board holds to all replicas, and their orders to `obey`."""

    def __init__(
        self,
        config: CollectorConfig,
        *,
        compose: Callable[[str, str], BaseModel | None],
        everything: Callable[[], list[tuple[str, str]]],
        hold: Callable[[], float],
        obey: Callable[[Down], None],
    ) -> None:
        """`compose(what, pool)` makes the message of a subject; `everything()` names all subjects there are.

        `hold()` says since how many seconds all that is held has held, and has announced before what does no more.
        """
        self._config = config
        self._compose = compose
        self._everything = everything
        self._hold = hold
        self._obey = obey
        self._links: dict[str, Outbox] = {}
        self._forgetful: set[str] = set()
        """Links on which everything is repeated: to operators of an earlier protocol, or that have not said theirs."""
        self._dialers: dict[str, asyncio.Task[None]] = {}
        self._due: dict[tuple[str, str], float] = {}
        """Subject -> when it goes up at the latest."""
        self._next = math.inf
        """The first of those times, when it was last looked at."""
        self._wake = asyncio.Event()
        self._highest_epoch = -1

    @property
    def connected(self) -> int:
        """Replicas that hear us now."""
        return len(self._links)

    def announce(self, what: str, pool: str, *, within: float = 0.0, news: bool = True) -> None:
        """A subject has changed: it goes up within a moment, or so many seconds later at most.

        Without `news` it has not, and goes up only if there is somebody to whom everything is repeated.
        """
        if not (news or self._forgetful):
            return
        due = time.monotonic() + within
        if due < self._due.get((what, pool), math.inf):
            self._due[what, pool] = due
            if due < self._next:
                self._wake.set()

    async def run(self) -> None:
        """Keep a connection to each replica until cancelled."""
        gathering = [asyncio.create_task(self._gather()), asyncio.create_task(self._beat())]
        try:
            while True:
                await self._follow_replicas()
                await asyncio.sleep(RESOLVE_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311  spreads load
        finally:
            tasks = [*gathering, *self._dialers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _gather(self) -> None:
        """Compose what is due, once for all links, a moment after the first of it."""
        while True:
            await self._until_due()
            await asyncio.sleep(GATHER_SECONDS)
            self._tell(self._take_due(by=time.monotonic()))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.beat()

    def beat(self) -> None:
        """Say that all which was said holds: after what has changed since, all of it, though some could wait."""
        listening = [outbox for address, outbox in self._links.items() if address not in self._forgetful]
        if not listening:
            return
        age = self._hold()
        self._tell(self._take_due(by=math.inf))
        message = Holds(clock=time.monotonic(), age_seconds=age)
        for outbox in listening:
            outbox.send_last("holds", message)

    def _tell(self, subjects: list[tuple[str, str]]) -> None:
        for what, pool in subjects:
            message = self._composed(what, pool)
            if message is not None:
                for outbox in self._links.values():
                    outbox.send(f"{what}/{pool}", message)

    def _composed(self, what: str, pool: str) -> BaseModel | None:
        try:
            return self._compose(what, pool)
        except Exception:  # noqa: BLE001  one pool's fault must not silence the others
            _log.exception("message_not_made", what=what, pool=pool)
            return Unheld(pool=pool, what="workers" if what == "workers" else "samples") if what in _HELD else None

    async def _until_due(self) -> None:
        while True:
            self._wake.clear()
            self._next = min(self._due.values(), default=math.inf)
            left = self._next - time.monotonic()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left if math.isfinite(left) else None):
                    await self._wake.wait()

    def _take_due(self, *, by: float) -> list[tuple[str, str]]:
        subjects = [subject for subject, due in self._due.items() if due <= by]
        for subject in subjects:
            del self._due[subject]
        return subjects

    async def _follow_replicas(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._config.operator_host, self._config.operator_port, type=socket.SOCK_STREAM
            )
        except OSError as error:
            _log.warning("operator_not_resolved", host=self._config.operator_host, error=str(error))
            return
        addresses = {str(address[4][0]) for address in found}
        for address in self._dialers.keys() - addresses:
            self._dialers.pop(address).cancel()
        for address in addresses - self._dialers.keys():
            self._dialers[address] = asyncio.create_task(self._dial(address), name=f"uplink-{address}")

    async def _dial(self, address: str) -> None:
        """Keep one connection to one replica."""
        delay = RECONNECT_FIRST_SECONDS
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._connect(address)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                _log.warning("operator_not_reached", address=address, error=str(error) or type(error).__name__)
            except Exception:  # noqa: BLE001  whatever it was: nobody else dials this replica again
                _log.exception("conversation_crashed", address=address)
            if asyncio.get_running_loop().time() - started > RECONNECT_MAX_SECONDS:
                delay = RECONNECT_FIRST_SECONDS
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  spreads load
            delay = min(2 * delay, RECONNECT_MAX_SECONDS)

    async def _connect(self, address: str) -> None:
        token = self._config.operator_token.read_text().strip()
        context = ssl.create_default_context(cafile=str(self._config.operator_ca))
        host = f"[{address}]" if ":" in address else address
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.ws_connect(
                f"wss://{host}:{self._config.operator_port}{STREAM_PATH}",
                headers={"Authorization": f"Bearer {token}"},
                ssl=context,
                server_hostname=self._config.operator_host,
                heartbeat=PING_SECONDS,
                max_msg_size=MAX_FRAME_BYTES,
                compress=0,
            ) as stream,
        ):
            await self._talk(address, stream)

    async def _talk(self, address: str, stream: aiohttp.ClientWebSocketResponse) -> None:
        outbox = self._links[address] = Outbox()
        self._forgetful.add(address)
        _log.info("operator_connected", address=address)
        for what, pool in self._everything():
            message = self._composed(what, pool)
            if message is not None:
                outbox.send(f"{what}/{pool}", message)
        sender = asyncio.create_task(outbox.drain(stream.send_str))
        try:
            async for frame in stream:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                self._hear(frame.data, address=address)
        finally:
            del self._links[address]
            self._forgetful.discard(address)
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionError, aiohttp.ClientError):
                await sender
            _log.info("operator_disconnected", address=address)

    def _hear(self, text: str, *, address: str) -> None:
        message = decode_down(text)
        if isinstance(message, Role) and message.protocol >= HOLDS_PROTOCOL:
            self._forgetful.discard(address)
        match message:
            case Role(leader=True, epoch=epoch):
                self._highest_epoch = max(self._highest_epoch, epoch)
            case Config() | Fence() | ReadNow() | PoolSettings() | PastArrivals():
                if message.epoch < self._highest_epoch:
                    _log.warning("order_refused", epoch=message.epoch, highest=self._highest_epoch)
                    return
                self._highest_epoch = message.epoch
                self._obey(message)
