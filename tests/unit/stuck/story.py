"""A pool's workers and queues, told second by second, and what is found of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from workerpool_operator.domain.stuck import Conduct, Findings, Reading, Waiting, Word, find, heard, read

AFTER = 45.0
SECOND = 1.0


@dataclass
class Teller:
    """One worker. What is not changed stays; a healthy busy one begins a job each second and is full now and then."""

    boot: str = "one"
    taken: int = 0
    full: bool = False
    fenced: bool = False
    paused: bool = False
    barred: frozenset[str] = frozenset()
    silent: bool = False
    per_second: int = 0
    """Jobs that it begins each second."""


def stuck(**more: object) -> Teller:
    return Teller(**more)  # type: ignore[arg-type]


def busy(**more: object) -> Teller:
    return Teller(per_second=3, full=True, **more)  # type: ignore[arg-type]


@dataclass
class Story:
    """Time goes on by `run`. `waiting` is per queue; None is a reading that failed."""

    workers: dict[str, Teller]
    waiting: dict[str, int | None] = field(default_factory=lambda: {"main": 10})
    arrivals: dict[str, int] = field(default_factory=dict)
    drawn: frozenset[str] = frozenset()
    """Queues from which jobs are taken, each second as many as come."""
    now: float = 1000.0
    conducts: dict[str, Conduct] = field(default_factory=dict)
    queues: dict[str, Waiting] = field(default_factory=dict)

    def run(self, seconds: float, *, without: Iterable[str] = ()) -> "Story":
        """`without`: workers of which nothing is heard meanwhile."""
        until = self.now + seconds
        while self.now < until:
            self.now += SECOND
            self._tell(frozenset(without))
        return self

    def _tell(self, unheard: frozenset[str]) -> None:
        for uid, one in self.workers.items():
            one.taken += one.per_second
            if uid not in unheard and not one.silent:
                word = Word(one.boot, one.taken, one.full, fenced=one.fenced, paused=one.paused, barred=one.barred)
                self.conducts[uid] = heard(self.conducts.get(uid), word, at=self.now)
        for name, waiting in self.waiting.items():
            if waiting is None:
                continue
            if name in self.drawn:
                self.arrivals[name] = self.arrivals.get(name, 0) + 1
            reading = Reading(waiting=waiting, arrivals=self.arrivals.get(name), holds_seconds=5.0)
            self.queues[name] = read(self.queues.get(name), reading, at=self.now)

    def found(self) -> Findings:
        return find(self.conducts, self.queues, one_queue=len(self.waiting) == 1, after=AFTER, now=self.now)

    @property
    def stuck(self) -> set[str]:
        return set(self.found().stuck)
