"""The stream to the collector: reports up, live settings down.

A worker works just as well without it. It is dialled again and again, with jitter; while it is down the last settings
hold until they lapse.

This is the only part of the runtime that knows the messages and their libraries, which take longer to load than all the
rest: the engine loads this module when the worker is ready already.
"""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from workerpool import protocol
from workerpool._own_thread import Lookup, in_own_thread
from workerpool.broker import TenantLimit
from workerpool.protocol import (
    REPORT_MAX_SECONDS,
    REPORT_MIN_SECONDS,
    STREAM_PATH,
    TOKEN_FILE,
    Counters,
    Hello,
    LastWords,
    Report,
    decode_down,
    decode_fence,
)
from workerpool.runtime.comeback import SPREAD_SECONDS, scattered
from workerpool.runtime.live import Orders, Policy, Share
from workerpool.runtime.state import Identity, State
from workerpool.telemetry.metrics import Totals

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
_PING_SECONDS: Final = 10.0
_LARGEST_MESSAGE: Final = 64 * 1024
_GONE: Final = (aiohttp.ClientConnectorError, TimeoutError)


class _Pauses:
    """Seconds between tries.

    Backoff for a stream that was ended or refused; for a collector that is not there, workers part from each other.
    """

    def __init__(self) -> None:
        self._longest = _FIRST_PAUSE_SECONDS
        self._gone = False

    def next(self, *, gone: bool) -> float:
        """`gone`: the last try found nobody."""
        if gone:
            first, self._gone = not self._gone, True
            return scattered(SPREAD_SECONDS, first=first)
        longest, self._longest = self._longest, min(_LONGEST_PAUSE_SECONDS, self._longest * 2)
        return random.uniform(longest / 2, longest)  # noqa: S311


class _Resolver(AbstractResolver):
    """aiohttp's own asks the event loop."""

    def __init__(self) -> None:
        self._lookups: dict[str, Lookup] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All of its addresses."""
        lookup = self._lookups.setdefault(host, Lookup(host))
        return [
            ResolveResult(hostname=host, host=found.host, port=port, family=found.family, proto=0, flags=0)
            for found in await lookup.addresses()
            if family in {socket.AF_UNSPEC, found.family}
        ]

    async def close(self) -> None:
        """Nothing is held."""


class CollectorLink:
    """Keeps one stream to `address` (host:port) open and the other side up to date."""

    def __init__(
        self,
        address: str,
        *,
        identity: Identity,
        state: Callable[[], State],
        obey: Callable[[Orders], None],
        period: float,
        log: Any,
        token_file: str = "",
    ) -> None:
        """`state` tells the current state, `obey` takes what comes down; `period`: most seconds between reports."""
        self._url = f"ws://{address}{STREAM_PATH}"
        self._identity = identity
        self._state = state
        self._obey = obey
        self._period = min(period, REPORT_MAX_SECONDS)
        self._log = log
        self._token_file = Path(token_file or TOKEN_FILE)
        self._changed = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._down = False
        self._misread = False

    def changed(self) -> None:
        """Something that is reported changed: report it soon."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        pauses = _Pauses()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_Resolver()),
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
        ) as session:
            while True:
                gone = False
                try:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        connection = await self._dial(session)
                    pauses = _Pauses()
                    await self._serve(connection)
                    self._lost("closed by the collector")
                except Exception as error:  # noqa: BLE001  whatever it is, a worker does without the stream
                    gone = isinstance(error, _GONE)
                    self._lost(f"{type(error).__name__}: {error}")
                await asyncio.sleep(pauses.next(gone=gone))

    async def last_words(self, totals: Totals, *, interrupted: int) -> None:
        """Say them, if there is someone to say them to."""
        connection = self._socket
        if connection is None or connection.closed:
            return
        try:
            words = LastWords(counters=_counters(totals), interrupted=interrupted)
            await connection.send_str(words.model_dump_json())
            await connection.close()
        except Exception as error:  # noqa: BLE001  the drain goes on
            self._lost(f"last words not delivered: {error}")

    async def _dial(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        try:
            token = (await in_own_thread(self._token_file.read_text, "utf-8")).strip()
        except FileNotFoundError:
            token = ""  # the collector decides what to do with someone who shows none
        connection = await session.ws_connect(
            self._url,
            headers={"Authorization": f"Bearer {token}"},
            heartbeat=_PING_SECONDS,
            max_msg_size=_LARGEST_MESSAGE,
        )
        hello = Hello(**asdict(self._identity))
        await connection.send_str(hello.model_dump_json())
        return connection

    async def _serve(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        if self._down:
            self._log.info("collector is back")
        self._down, self._socket = False, connection
        self._changed.set()
        reporting = asyncio.create_task(self._send_reports(connection), name="workerpool-reports")
        try:
            async for message in connection:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._receive(message.data)
        finally:
            self._socket = None
            reporting.cancel()
            await _gone(reporting)
            await connection.close()

    def _receive(self, text: str) -> None:
        settings = decode_down(text)
        if settings is None:
            settings = decode_fence(text)
            if settings is None:
                self._log.debug("a message from the collector is not understood")
                return
            if not self._misread:
                self._log.warning("settings from the collector are not understood, only their fence is obeyed")
            self._misread = True
        else:
            self._misread = False
        said = settings.delivery
        policy = None
        if said is not None:
            policy = Policy(
                max_attempts=said.max_attempts,
                backoff_seconds=said.backoff_seconds,
                backoff_max_seconds=said.backoff_max_seconds,
                lease_seconds=said.lease_seconds,
                rate_limit_per_second=said.rate_limit_per_second,
                concurrency_per_worker=said.concurrency_per_worker,
                tenant_limits={
                    tenant: TenantLimit(limit.rate_per_second, limit.max_in_flight)
                    for tenant, limit in said.tenant_limits.items()
                },
                shed_after=said.shed_after_seconds,
                late_after=said.late_after_seconds,
                slow_after=said.slow_after_seconds,
                take_rate=said.take_rates.get(self._identity.version),
            )
        share = None if settings.share is None else Share(settings.share.id, settings.share.per_second)
        self._obey(Orders(ttl_seconds=settings.ttl_seconds, fence=settings.fence, policy=policy, share=share))

    async def _send_reports(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await _wait(self._changed.wait(), self._period)
                self._changed.clear()
                await connection.send_str(_report(self._state()).model_dump_json())
                await asyncio.sleep(REPORT_MIN_SECONDS)
        finally:
            await connection.close()  # ends the reading side, which says so

    def _lost(self, why: str) -> None:
        if not self._down:
            self._log.warning("no stream to the collector, working on without it", why=why)
        self._down = True


def _counters(totals: Totals) -> Counters:
    return Counters(**asdict(totals))


def _report(state: State) -> Report:
    return Report(
        in_flight=state.in_flight,
        slots=state.slots,
        most_slots=state.most_slots,
        cpu_cores=state.cpu_cores,
        fence=state.fence,
        draining=state.draining,
        paused=state.paused,
        troubles=dict(state.troubles),
        remaining_seconds=state.remaining_seconds,
        share=None if state.share is None else protocol.Share(id=state.share.id, per_second=state.share.per_second),
        slow_after_seconds=state.slow_after,
        counters=_counters(state.totals),
    )


async def _wait(event: Awaitable[object], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event
    except TimeoutError:
        return


async def _gone(task: "asyncio.Task[None]") -> None:
    try:
        await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
