"""A job that may have ended its workers runs alone.

What ends its worker (all memory taken, a segmentation fault, `os._exit`) leaves nobody who could say which job it was.
All that the worker held comes back, together, and meets again in the next worker: so one bad job would use up the
attempts of whatever is beside it. The broker knows which jobs came back so (`redelivered`), and which attempt this is.
From the third one on, or at the last where fewer are allowed, such a job is a suspect: its worker takes nothing more,
finishes what it has, runs the suspect with nothing beside it, and goes on. Other suspects go back to the queue
meanwhile, as such and without losing an attempt: two are never at work in one worker.

Hence one bad job costs no other one more than two attempts. While it is no suspect itself it dies twice at most; later
it dies alone, or beside what would not end in time, which are no suspects, so jobs that have come back once at most.
With three attempts allowed or more, no other job is dead-lettered for it; nor with two, since then the second one is
made alone. Where only one is allowed there is none left to find out by, nor for one that has failed at all others.

Rejected: from the second attempt on. A node that is lost brings back all of its jobs, innocent, and each of them would
stop a worker. At the last one only: then what is beside a bad job loses four attempts of five, and jobs that take too
much memory together, but not each by itself, have one chance instead of three. To count, and give up whatever came back
too often, as Sidekiq's `super_fetch` and SQS' redrive policy do: that is what dead-letters the innocent. In the cpu
lane a bad job ends a process of its own, and is known at once.
"""

import asyncio
from typing import Final

from workerpool.broker import Taken
from workerpool.runtime.gate import Gate
from workerpool.runtime.inflight import Cancelled, InFlight, Running

SUSPECT_FROM: Final = 3
"""Attempts from which on a job is run alone: one worker's death happens, two say something."""
ALONE: Final = "a job runs alone"
"""Why nothing is taken."""
RUNS_ALONE: Final = "job runs alone: its worker died at the attempt before, or lost it"


def is_suspect(job: Taken, *, allowed: int) -> bool:
    """Whether this job is to run alone, of `allowed` attempts."""
    return job.redelivered and min(SUSPECT_FROM, allowed) <= job.attempt <= allowed


class Solitude:
    """Of a worker: at most one job at a time has it, or waits for it."""

    def __init__(self, gate: Gate, *, seconds: float) -> None:
        """`seconds`: after which it waits no longer for the others to end."""
        self._gate = gate
        self._seconds = seconds
        self._suspect: Running | None = None
        self._ended = asyncio.Event()
        self._emptied: asyncio.Future[None] | None = None

    @property
    def taken(self) -> bool:
        """Whether a job has it, or waits for it: then nothing is taken."""
        return self._suspect is not None

    def claim(self, running: Running) -> bool:
        """Have it for this job until that is settled; False: another one's it is. From now on nothing is taken."""
        if self._suspect is not None:
            return False
        self._suspect, running.alone = running, True
        self._gate.shut(ALONE)
        return True

    async def begin(self, in_flight: InFlight) -> int:
        """Return when nothing else is in flight, or the time is up: how many other jobs there are then."""
        # Who cancels this job must not cut short what interrupts the takes: a broker would be left in the midst of it.
        self._emptied = asyncio.ensure_future(self._gate.emptied(ALONE))
        await asyncio.shield(self._emptied)
        try:
            async with asyncio.timeout(self._seconds):
                while len(in_flight) > 1:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            await self._gone_back(in_flight)
        return len(in_flight) - 1

    async def _gone_back(self, in_flight: InFlight) -> None:
        """Whatever has its outcome the broker has to know: other suspects may be among those."""
        while any(one.settling for one in in_flight):
            self._ended.clear()
            await self._ended.wait()

    def settled(self, running: Running) -> None:
        """It is not in flight any more."""
        if self._suspect is None:
            return
        self._ended.set()
        if running is self._suspect:
            self._suspect = None
            self._gate.open(ALONE)

    def give_up(self) -> None:
        """The worker drains: who still waits is handed back."""
        if self._suspect is not None and self._suspect.started_at is None and self._suspect.batch is None:
            self._suspect.cancel(Cancelled.DRAIN)
