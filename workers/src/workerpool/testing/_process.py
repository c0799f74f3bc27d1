"""A worker that is played: everything that it started belongs to it, and ends with it.

Tasks, callbacks and timers inherit the context of whoever started them, so the context tells whose they are.
"""

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool.runtime.drain import Drained, Stop
from workerpool.telemetry.metrics import Metrics

PROCESS: Final[contextvars.ContextVar["Process | None"]] = contextvars.ContextVar("workerpool_played", default=None)
"""Whose task this is; None: the test's own, or this is no played time."""


@dataclass(slots=True, eq=False)
class Process:
    """A worker's life, from its start to its end."""

    name: str
    """Of its pod: one that was restarted has the same."""
    metrics: Metrics
    reached: Callable[[str, "Process"], bool]
    """Tell that it is at a point; whether it was killed there."""
    stop: Stop
    task: "asyncio.Task[Drained] | None" = None
    dead: bool = field(default=False, init=False)
    """Killed: nothing of it runs any more."""


async def point(name: str) -> None:
    """A place at which a test can kill the worker: `simulation.crash_at(name)`. Does nothing elsewhere.

    Call it where it matters what has happened before a crash: in the double of what a handler talks to, rather than in
    the handler, for then no program needs this package to run.
    """
    process = PROCESS.get()
    if process is not None and process.reached(name, process):
        await _never()


async def _never() -> Any:
    await asyncio.get_running_loop().create_future()
