"""The load: when jobs are due and how long each takes. Pure, and the same for every scaler."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from workerpool_operator.cli.load.schedule import Schedule

SLOTS: Final = 5
"""Jobs that one worker runs at a time, and the backlog a worker that every scaler is told to aim at."""
MAX_REPLICAS: Final = 12
DRAIN_SECONDS: Final = 25
"""What a worker of any scaler has to end its jobs when it is told to, before it cuts them off and gives them back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a trace; both in seconds."""

    due: float
    """From the start of the trace."""
    seconds: float
    """How long its handler takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A load that is over in minutes."""

    name: str
    jobs: tuple[Job, ...]
    """By when they are due."""
    window: float
    """For so many seconds from its start the scaler is looked at: what is wasted later does not count."""

    @property
    def schedule(self) -> Schedule:
        """When to send them."""
        return Schedule(jobs=len(self.jobs), due=lambda number: self.jobs[number].due)

    @property
    def needed(self) -> tuple[float, int]:
        """When the trace first needs the most workers that it ever needs, in seconds, and how many.

        That is what jobs take that all start when they are due, `SLOTS` to a worker.
        """
        steps = [(job.due, 1) for job in self.jobs] + [(job.due + job.seconds, -1) for job in self.jobs]
        # At one moment ends come first: who ends makes room for who begins.
        moments = sorted(steps)
        running = itertools.accumulate(change for _, change in moments)
        most, first = 0, 0.0
        for (at, _), now in zip(moments, running, strict=True):
            workers = math.ceil(now / SLOTS)
            if workers > most:
                most, first = workers, at
        return first, most


def _burst() -> Trace:
    """As many jobs as all workers can run, all at once; each outlives the slowest scaler's way to all workers."""
    count = MAX_REPLICAS * SLOTS
    return Trace(name="burst", jobs=tuple(Job(due=0.0, seconds=60.0) for _ in range(count)), window=150.0)


def _ramp() -> Trace:
    """Arrivals grow from none, stay, and fall to none.

    Every eighth job takes longer than a pod has to end once it is told to (30 s, the default of Kubernetes): who
    takes a worker away while it runs one cuts it off.
    """
    phase, rate = 60.0, 2.8
    growing = _arrivals(lambda n: math.sqrt(2 * phase * n / rate), count=round(rate * phase / 2))
    staying = _arrivals(lambda n: phase + n / rate, count=round(rate * phase))
    falling = _arrivals(lambda n: 2 * phase + phase - math.sqrt(phase**2 - 2 * phase * n / rate), count=len(growing))
    dues = [*growing, *staying, *falling]
    jobs = tuple(Job(due=due, seconds=40.0 if number % 8 == 7 else 6.0) for number, due in enumerate(dues))
    return Trace(name="ramp", jobs=jobs, window=230.0)


def _arrivals(due: Callable[[int], float], *, count: int) -> Sequence[float]:
    return [due(number) for number in range(count)]


TRACES: Final = {trace.name: trace for trace in (_burst(), _ramp())}
