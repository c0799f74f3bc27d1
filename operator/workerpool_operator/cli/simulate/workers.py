"""The workers of two versions in played time: how many there are, which are judged, and on whom failures fall.

Counts move as the operator moves them (`hold_shares`): `rollout.surge` workers above the size at a time, each of which
is there after the pool's start time and lets one of the other version go, at once and the youngest first. What a worker
does within `warmupSeconds` is not judged. Jobs are a fluid: each ready worker ends as many as any other.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from workerpool_operator.cli.simulate.dice import Dice
from workerpool_operator.domain.rollout.counts import Slot, hold_shares
from workerpool_operator.domain.rollout.ledger import INCIDENT_SECONDS
from workerpool_operator.domain.rollout.splitter import split
from workerpool_operator.domain.rollout.spread import Spread, cell

_STABLE: Final = "stable"
_CANARY: Final = "canary"
_LEAST_START: Final = 0.1
"""Seconds. Nobody is there at once."""


@dataclass(slots=True)
class _Warm:
    """A worker that is judged."""

    since: float
    """Jobs that each worker had ended when it became so."""
    failures: int = 0
    incident_at: float = -math.inf


@dataclass(slots=True)
class Side:
    """The workers of one version."""

    ready: list[float] = field(default_factory=list)
    """When each became ready, ascending."""
    starting: list[float] = field(default_factory=list)
    """When each will be, ascending."""
    warm: list[_Warm] = field(default_factory=list)
    """Of those that are ready the oldest."""
    closed: Spread = field(default_factory=Spread)
    """How the failures of those that went are spread."""

    @property
    def replicas(self) -> int:
        """All of them."""
        return len(self.ready) + len(self.starting)

    def slot(self, name: str) -> Slot:
        """As the operator counts them."""
        return Slot(name=name, replicas=self.replicas, ready=len(self.ready))

    def take_away(self, count: int) -> None:
        """So many go, those that start first."""
        spared = min(count, len(self.starting))
        del self.starting[len(self.starting) - spared :]
        del self.ready[max(0, len(self.ready) - (count - spared)) :]

    def arrive(self, *, at: float) -> None:
        """Those that are ready by now are there."""
        up = bisect_right(self.starting, at)
        self.ready += self.starting[:up]
        del self.starting[:up]

    def warm_up(self, *, born: float, each: float) -> None:
        """Those that were ready by `born` are judged from now on, when each worker has ended `each` jobs."""
        warm = bisect_right(self.ready, born)
        for gone in self.warm[warm:]:
            self.closed = self.closed.plus(cell(each - gone.since, gone.failures))
        del self.warm[warm:]
        self.warm += [_Warm(each) for _ in range(warm - len(self.warm))]

    def hit(self, failures: int, dice: Dice, *, at: float) -> int:
        """So many jobs failed, each at any judged worker; how many incidents these were.

        Where those that did the jobs are gone by now it is one.
        """
        if not self.warm:
            return min(failures, 1)
        incidents = 0
        for number, hits in dice.shared_out(failures, len(self.warm)).items():
            one = self.warm[number]
            one.failures += hits
            if at - one.incident_at >= INCIDENT_SECONDS:
                one.incident_at = at
                incidents += 1
        return incidents

    def spread(self, *, each: float) -> Spread:
        """How the failures of all are spread, when each worker has ended `each` jobs."""
        spread = self.closed
        for one in self.warm:
            spread = spread.plus(cell(each - one.since, one.failures))
        return spread


@dataclass(slots=True, kw_only=True)
class Workers:
    """Those of both versions."""

    surge: int
    start_seconds: float
    warmup_seconds: float
    now: float
    stable: Side
    canary: Side = field(default_factory=Side)
    each: float = 0.0
    """Jobs that a worker has ended that was there all the time."""

    @property
    def ready(self) -> int:
        """How many do jobs."""
        return len(self.stable.ready) + len(self.canary.ready)

    @property
    def both_warm(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.stable.warm and self.canary.warm)

    def move(self, *, until: float, total: int, weight: int) -> None:
        """Towards this share of this size, until then."""
        shares = split(total, weight=weight)
        while True:
            moving = self.stable.starting or self.canary.starting
            if moving or (len(self.stable.ready), len(self.canary.ready)) != (shares.stable, shares.canary):
                self._settle(total=total, weight=weight)
            due = min((*self.stable.starting[:1], *self.canary.starting[:1]), default=math.inf)
            if due > until:
                break
            self.now = due
            self.stable.arrive(at=due)
            self.canary.arrive(at=due)
        self.now = until

    def work(self, jobs: float) -> tuple[float, float, float]:
        """So many jobs end: the canary's part of them, and of each version those that are judged, canary first."""
        born = self.now - self.warmup_seconds
        self.stable.warm_up(born=born, each=self.each)
        self.canary.warm_up(born=born, each=self.each)
        share = jobs / self.ready if self.ready else 0.0
        self.each += share
        return share * len(self.canary.ready), share * len(self.canary.warm), share * len(self.stable.warm)

    def _settle(self, *, total: int, weight: int) -> None:
        """All that can be done now."""
        shares, due = split(total, weight=weight), self.now + max(self.start_seconds, _LEAST_START)
        sides = {_STABLE: self.stable, _CANARY: self.canary}
        while True:
            stable, canary = self.stable.slot(_STABLE), self.canary.slot(_CANARY)
            wanted = hold_shares(stable=stable, canary=canary, others=(), split=shares, total=total, surge=self.surge)
            if not wanted.raise_to and not wanted.remove:
                return
            for name, size in wanted.raise_to.items():
                sides[name].starting += [due] * (size - sides[name].replicas)
            for name, count in wanted.remove.items():
                sides[name].take_away(count)
