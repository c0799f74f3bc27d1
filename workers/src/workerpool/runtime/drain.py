"""Ending without hurting a job: wait for those in flight, and hand back the ones that cannot end in time.

When this begins nothing is taken any more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from workerpool.runtime.inflight import Cancelled, InFlight, Running

CANCEL_SECONDS: Final = 3.0
"""How long a cancelled handler may take to clean up."""
SETTLE_SECONDS: Final = 5.0
"""How long the broker may take to confirm what became of the last jobs."""


class Stop:
    """Asks the worker to drain; asked twice, to hurry."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self._asked_at = 0.0

    def ask(self) -> None:
        """First call: drain. Second call: do not wait for running jobs, hand them back now."""
        if self.asked.is_set():
            self.hurry.set()
        else:
            self._asked_at = asyncio.get_running_loop().time()
            self.asked.set()

    @property
    def seconds_ago(self) -> float:
        """How long ago it was asked first."""
        return asyncio.get_running_loop().time() - self._asked_at


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain ended. Counts are jobs."""

    interrupted: int
    """Cancelled and handed back."""
    unsettled: int
    """Of which the broker has not confirmed anything: they come back when their lease expires."""
    stubborn: bool
    """Whether a handler still runs although it was cancelled."""


async def drain(in_flight: InFlight, *, seconds: float, stop: Stop, hand_back: Callable[[Running], None]) -> Drained:
    """Wait up to `seconds` for all jobs to be settled, then cancel those that run and hand them back."""
    await _first(in_flight.wait_empty(), stop.hurry.wait(), seconds=seconds)
    stragglers = [one for one in in_flight if not one.settling and one.task is not None]
    for one in stragglers:
        one.cancel(Cancelled.DRAIN)
    tasks = [one.task for one in stragglers if one.task is not None]
    pending: set[asyncio.Task[None]] = set()
    if tasks:
        _, pending = await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    for one in stragglers:
        hand_back(one)
    await _first(in_flight.wait_empty(), seconds=SETTLE_SECONDS)
    return Drained(interrupted=len(stragglers), unsettled=len(in_flight), stubborn=bool(pending))


async def _first(*coroutines: Coroutine[Any, Any, object], seconds: float) -> None:
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
