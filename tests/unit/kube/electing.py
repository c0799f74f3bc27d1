"""Replicas that take part in an election, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from tests.unit.kube.lease_store import Link
from workerpool_operator.kube.lease import LeaderElector

DURATION, DEADLINE, RENEW, LOOK = 15.0, 10.0, 3.0, 2.0
TODAY = datetime(2026, 3, 1, tzinfo=UTC)


def now() -> float:
    return asyncio.get_running_loop().time()


def elector(link: Link, identity: str, *, address: str = "", skew: float = 0.0, started: float = 0.0) -> LeaderElector:
    """A replica whose wall clock is `skew` seconds wrong and whose monotonic clock started at `started`."""
    return LeaderElector(
        link,
        namespace="workerpool-system",
        name="workerpool-operator",
        identity=identity,
        address=address,
        clock=lambda: now() + started,
        wall_clock=lambda: TODAY + timedelta(seconds=now() + skew),
    )


@asynccontextmanager
async def running(*electors: LeaderElector) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(one.run()) for one in electors]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], *, seconds: float = 120.0) -> float:
    """Wait for `condition`; gives back how long that took."""
    started = now()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  time is virtual
            await asyncio.sleep(0.02)
    return now() - started


def kill(task: asyncio.Task[None], link: Link) -> None:
    """End a replica as SIGKILL does: its release never leaves the machine."""
    link.request_lost = True
    task.cancel()
