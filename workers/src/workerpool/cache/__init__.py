"""Values that are expensive to get, kept in Redis for all workers, and got by one of them at a time.

A value that expires under load is missed by everybody at once, and everybody asks the origin: a cache stampede. Against
it, in this order:

| What | How |
|---|---|
| callers in one event loop | share one look and one fill per key |
| processes | a lock in Redis, extended while the fill runs; the others look again until the value is there |
| a filler that dies | its lock runs out after `lock_seconds`, and one of the others fills |
| a filler that was away too long | its value is not kept: its fencing token is not the lock's any more |
| the moment of expiry | who reads a value may refresh it before: the later and the more expensive, the more likely |
| values that were got together | do not expire together: the time to live is shortened by chance, by up to `jitter` |
| a fill that raises | is told to everybody who asks within the next `error_seconds`, and not repeated before |
| Redis is away, or refuses | the origin is asked, by one caller per process and key at a time; nothing is kept |

The fencing token need not be a number that grows: lock and value are in one Redis, and the script that stores a value
looks at the lock in the same move.

The early refresh is XFetch: a reader refreshes when `cost * beta * -ln(chance)` is no less than the time that is left
(Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). Others get the old
value meanwhile, those of the same event loop as well: only the one who refreshes waits.
"""

import asyncio
import json
import math
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from workerpool._job import encode
from workerpool.broker._redis.scripts import Script
from workerpool.errors import BrokerError, BrokerUnavailable, ConfigurationError, FillFailed
from workerpool.redis import Redis
from workerpool.telemetry.logs import Log
from workerpool.telemetry.metrics import current

__all__ = ["MAX_VALUE_BYTES", "Cache", "FillFailed"]

MAX_VALUE_BYTES: Final = 1024 * 1024
"""Larger values belong into a store, with their address in the cache."""
Fill = Callable[[], Awaitable[Any]]
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.25
_LONGEST_ERROR: Final = 1000
_LUA: Final = Path(__file__).with_name("lua")
_LOOK: Final = Script("look", order=False, folder=_LUA)
_STORE: Final = Script("store", order=False, folder=_LUA)
_KEEP: Final = Script("keep", order=False, folder=_LUA)
_FAIL: Final = Script("fail", order=False, folder=_LUA)


class _Found(NamedTuple):
    text: bytes
    refresh: str = ""
    """Of a value that is to be refreshed: the token of the lock, which is ours."""


@dataclass(slots=True)
class _Flight:
    """A look that several callers wait for. The first of them to go on refreshes the value, if it is to be."""

    task: "asyncio.Task[_Found]"
    waiters: int = 0
    taken: bool = False


class Cache:
    """A cache beside a queue. Make one per event loop, for example in the worker's `lifespan`.

    Made there, or in a handler, it tells the worker's metrics how long jobs waited for values that another one fills:
    `worker_lock_wait_seconds{lock="cache:NAME"}`.

    Args:
        redis: Where it is.
        name: Tells it from other caches beside the same queue. Without a colon.
        lock_seconds: After which the lock of a filler that died is gone. One that lives extends it.
        fill_seconds: After which a fill is cancelled, and TimeoutError.
        error_seconds: For how long the error of a fill is told to others in its stead.
        jitter: The part of its time to live by which a value may expire earlier, from 0 to 1.
        beta: Of the early refresh: above 1 earlier, below 1 later, 0 never.
        chance: From 0 to 1, for tests.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        name: str = "cache",
        lock_seconds: float = 5.0,
        fill_seconds: float = 30.0,
        error_seconds: float = 1.0,
        jitter: float = 0.1,
        beta: float = 1.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if ":" in name:
            raise ConfigurationError(f"a cache named {name!r}: with a colon it could have the keys of another one")
        if min(lock_seconds, fill_seconds) <= 0 or error_seconds < 0 or beta < 0 or not 0 <= jitter <= 1:
            raise ConfigurationError("lock_seconds and fill_seconds are above 0, error_seconds and beta not below it")
        self._redis = redis
        self._name = name
        self._lock_seconds = lock_seconds
        self._fill_seconds = fill_seconds
        self._error_seconds = error_seconds
        self._jitter = jitter
        self._beta = beta
        self._chance = chance
        self._flights: dict[str, _Flight] = {}
        metrics = current()
        self._waits = metrics.cache(name) if metrics is not None else None
        self._trouble = ""

    async def get_or_fill(self, key: str, fill: Fill, *, ttl: float) -> Any:
        """The value of this key, from JSON: the one that is kept, or what `fill` returns, which is then kept.

        ```python
        rates = await cache.get_or_fill("rates", fetch_rates, ttl=60)
        ```

        Args:
            key: Any text. All who use it are to have the same `fill`: one of them is called for all.
            fill: Asks the origin. Its value is anything that JSON can hold, at most MAX_VALUE_BYTES of it.
            ttl: Seconds after which it is got anew, at the latest.

        Raises:
            FillFailed: somebody else's fill of this key raised a moment ago; the text is its error.
            PayloadInvalid: the value is not JSON or too large.
            Exception: what `fill` raised; TimeoutError when it took too long.
        """
        if ttl <= 0:
            raise ConfigurationError(f"ttl is {ttl!r}: write a number of seconds above 0")
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(self._find(key, fill, ttl)))
        flight.waiters += 1
        try:
            text, refresh = await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            # The first who goes on begins anew; the last one who gives up ends what nobody waits for.
            if (flight.task.done() or not flight.waiters) and self._flights.get(key) is flight:
                del self._flights[key]
                flight.task.cancel()
        if refresh and not flight.taken:
            flight.taken = True
            text = await self._refresh(key, fill, ttl, refresh) or text
        return json.loads(text)

    async def forget(self, key: str) -> None:
        """The value is not right any more: get it anew. What a fill that runs now returns is not kept either.

        Raises:
            BrokerError: one of its kinds; it may have happened nevertheless.
        """
        await self._redis.call("DEL", *self._keys(key))

    async def _find(self, key: str, fill: Fill, ttl: float) -> _Found:
        token, pause, since = secrets.token_hex(8), _FIRST_PAUSE_SECONDS, None
        clock = asyncio.get_running_loop().time
        while True:
            early = self._beta * -math.log(1.0 - self._chance())
            try:
                state, *found = await self._redis.run(
                    _LOOK, self._keys(key), token, _ms(self._lock_seconds), f"{early:.6f}"
                )
            except BrokerError as error:
                self._say(error)
                return _Found(await self._ask(fill))
            self._trouble = ""
            if self._waits is not None and state != b"wait" and (since is not None or state == b"fill"):
                self._waits.observe(0.0 if since is None else clock() - since)
            match state:
                case b"value":
                    return _Found(found[0])
                case b"fill":
                    return _Found(await self._fill(key, fill, ttl, token))
                case b"refresh":
                    return _Found(found[0], refresh=token)
                case b"failed":
                    raise FillFailed(found[0].decode())
                case _:
                    since = clock() if since is None else since
                    await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311
                    pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)

    async def _refresh(self, key: str, fill: Fill, ttl: float, token: str) -> bytes | None:
        """None: it failed, and the old value is as good as before."""
        try:
            return await self._fill(key, fill, ttl, token)
        except Exception as error:  # noqa: BLE001  whatever it is, nobody needs this value yet
            Log().warning("refreshing a cached value failed", key=key, error=f"{type(error).__name__}: {error}")
            return None

    async def _fill(self, key: str, fill: Fill, ttl: float, token: str) -> bytes:
        """The lock is ours."""
        value, lock = self._keys(key)
        clock = asyncio.get_running_loop().time
        began = clock()
        keeping = asyncio.create_task(self._keep(lock, token))
        try:
            text = await self._ask(fill)
        except BaseException as error:
            await self._give_up(lock, token, error)
            raise
        finally:
            keeping.cancel()
        lives = ttl * (1 - self._jitter * self._chance())
        try:
            await self._redis.run(_STORE, [value, lock], token, text, _ms(lives), _ms(clock() - began))
        except BrokerError as error:
            self._say(error)
        return text

    async def _ask(self, fill: Fill) -> bytes:
        async with asyncio.timeout(self._fill_seconds):
            value = await fill()
        return encode(value, what="value", limit=MAX_VALUE_BYTES)

    async def _keep(self, lock: str, token: str) -> None:
        while True:
            await asyncio.sleep(self._lock_seconds / 3)
            try:
                await self._redis.run(_KEEP, [lock], token, _ms(self._lock_seconds))
            except BrokerError as error:
                self._say(error)

    async def _give_up(self, lock: str, token: str, error: BaseException) -> None:
        """A cancelled fill says nothing about the origin: the next one may try at once."""
        ms = _ms(self._error_seconds) if isinstance(error, Exception) and self._error_seconds else 0
        try:
            await self._redis.run(_FAIL, [lock], token, ms, f"{type(error).__name__}: {error}"[:_LONGEST_ERROR])
        except BrokerError as away:
            self._say(away)

    def _keys(self, key: str) -> list[str]:
        """Of the value and of its lock."""
        return list(self._redis.cache_keys(self._name, key))

    def _say(self, error: BrokerError) -> None:
        """Once, until it works again or something else is wrong."""
        kind = type(error).__name__
        if kind != self._trouble:
            what = "is away" if isinstance(error, BrokerUnavailable) else "refuses its commands"
            Log().warning(f"the cache's Redis {what}, asking the origin", error=f"{kind}: {error}")
        self._trouble = kind


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
