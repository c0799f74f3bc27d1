"""Threads and processes that are not to be had: the container may have no more of them, or no memory for one.

That is the machine's trouble and no attempt of a job: the job goes back, and for a moment its slot stays taken, so that
a worker in want does not pull in one job after the other. Others may have what it takes. If it lasts, and nothing of
the lane is left to work with, the lane says that it has a problem: a worker that is started anew begins with none.
"""

import asyncio
import math
from typing import Any, Final

from workerpool.runtime.lanes import NotHere

PAUSE_SECONDS: Final = 1.0
_LASTS_SECONDS: Final = 5.0
"""After the last time: jobs that were handed back may be somewhere else by then."""


class Shortage:
    """Of what one lane starts for its jobs."""

    def __init__(self, *, of: str, log: Any) -> None:
        """`of`: what it is called."""
        self._of = of
        self._log = log
        self._at = -math.inf
        self._told = False

    def refused(self, error: Exception) -> NotHere:
        """There was none to be had: what is to be raised for the job. Told once."""
        if not self._told:
            self._log.error(f"no {self._of} can be started: jobs go back", error=f"{type(error).__name__}: {error}")
        self._told, self._at = True, asyncio.get_running_loop().time()
        return NotHere(pause=PAUSE_SECONDS)

    def over(self) -> None:
        """One was to be had."""
        self._told, self._at = False, -math.inf

    def problem(self) -> str:
        """What the lane says that has nothing left; empty while there is no shortage."""
        if not self._told or asyncio.get_running_loop().time() - self._at > _LASTS_SECONDS:
            return ""
        return f"no {self._of} can be started: the container has no more of them, or no memory"
