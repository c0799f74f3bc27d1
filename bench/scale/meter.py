"""What a system uses during a phase and during a window at rest, the same way for each system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import aiohttp

from bench.pools import usage
from bench.scale.audit import AuditLog
from bench.scale.exposition import Histogram
from bench.scale.rows import Cost, Lag, Rest
from e2e.cluster.progress import say

CALM_SECONDS: Final = 10.0
CALM_REQUESTS: Final = 25
"""In `CALM_SECONDS`: a Lease, and a look now and then at what is there."""
LONGEST_UNREST_SECONDS: Final = 3600.0
"""KEDA asks for 20 requests a second at most: with 5,000 ScaledObjects it goes on for a quarter of an hour."""
SAY_SECONDS: Final = 60.0


class Measured(Protocol):
    """A system that runs."""

    def pids(self) -> list[int]:
        """Its processes. Raises DaemonDiedError when one of them has ended."""

    async def waits(self) -> Histogram:
        """How long objects waited for their turn, since its process was started."""


class Meter:
    """Of one system, whose requests are those of one user."""

    def __init__(self, system: Measured, *, audit: AuditLog, user: str) -> None:
        self._system = system
        self._audit = audit
        self._user = user

    async def phase(self, name: str, act: Callable[[], Awaitable[None]]) -> Cost:
        """Do it to its end. A process that is started in it counts from its start."""
        waits, requests = await self._system.waits(), await self._requests()
        used, started = self._used(), time.monotonic()
        await act()
        seconds, after = time.monotonic() - started, self._used()
        cost = Cost(
            seconds=seconds,
            cpu_seconds=sum(cpu - used.get(pid, 0.0) for pid, cpu in after.items()),
            requests=await self._requests() - requests,
            lag=lag(await self._system.waits() if after.keys() - used.keys() else await self._since(waits)),
        )
        say(
            f"  {name}: {cost.seconds:,.1f} s, {cost.cpu_seconds:,.1f} s of CPU, {cost.requests:,} requests, "
            f"lag p50 {_told(cost.lag.p50)}, p99 {_told(cost.lag.p99)}"
        )
        return cost

    async def rest(self, seconds: float) -> Rest:
        """Look on for so long."""
        waits, requests = await self._system.waits(), await self._requests()
        seen = await usage.over(seconds, self._system.pids)
        # Before the metrics are read, which takes CPU and no request.
        made = await self._requests() - requests
        rest = Rest(
            millicores=seen.millicores,
            rss_mb=seen.rss_mb,
            requests_per_second=made / seconds,
            lag=lag(await self._since(waits)),
        )
        say(
            f"  at rest: {rest.millicores:,.1f} mCPU, {rest.rss_mb:,.0f} MB, "
            f"{rest.requests_per_second:.2f} requests/s, lag p99 {_told(rest.lag.p99)}"
        )
        return rest

    async def calm(self) -> None:
        """Until it asks the API server for hardly anything any more; what never does is measured as it is."""
        began = said = time.monotonic()
        while (now := time.monotonic()) - began < LONGEST_UNREST_SECONDS:
            requests = await self._requests()
            await asyncio.sleep(CALM_SECONDS)
            self._system.pids()
            made = await self._requests() - requests
            if made <= CALM_REQUESTS:
                return
            if now - said >= SAY_SECONDS:
                said = now
                say(f"  not at rest after {now - began:.0f} s: {made / CALM_SECONDS:,.1f} requests/s")
        say(f"  it has not come to rest in {LONGEST_UNREST_SECONDS:.0f} s, and is measured as it is")

    async def _since(self, before: Histogram) -> Histogram:
        return (await self._system.waits()).since(before)

    async def _requests(self) -> int:
        return await self._audit.requests(self._user)

    def _used(self) -> dict[int, float]:
        return {pid: usage.cpu_seconds([pid]) for pid in self._system.pids()}


class Exposition:
    """A process's metrics, read no more often than costs it a tenth of its time: thousands of pools are megabytes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._took = 0.0

    async def text(self) -> str:
        """All of it; empty while the process does not answer."""
        started = time.monotonic()
        try:
            async with aiohttp.ClientSession() as session, session.get(self._url) as answer:
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return ""
        finally:
            self._took = time.monotonic() - started

    async def until(
        self, what: str, holds: Callable[[str], bool], *, check: Callable[[], object], longest: float
    ) -> None:
        """Read it until it says so. Raises TimeoutError, and what `check` raises."""
        deadline = time.monotonic() + longest
        while not holds(await self.text()):
            check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {longest:.0f} s: {what}")
            await asyncio.sleep(max(0.5, 10 * self._took))


def lag(waits: Histogram) -> Lag:
    """Its quantiles."""
    return Lag(p50=waits.quantile(0.5), p99=waits.quantile(0.99))


def _told(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.3f} s"
