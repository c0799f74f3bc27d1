"""What an HPA or KEDA by themselves would have done: their own rules, at their defaults, on the same queue and bounds.

Both ask for a worker for every so many jobs that wait or run (`targets.queueDepthPerReplica`, 20 when unset).

HPA: `k8s.io/kubernetes/pkg/controller/podautoscaler`, an external metric with an AverageValue: every 15 s
`ceil(metric / target)`, or the size as it is where that is off by no more than a tenth; up by 100 % or 4 pods within
15 s, whichever is more; down to the largest of the last 300 s; never below one.

KEDA adds zero to it (`kedacore/keda/pkg/scaling`): every 30 s it looks whether there is any job, and takes the size to
one (or `minReplicas`) if there is, to none after 300 s without.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.api.spec import DEFAULT_DEPTH_PER_REPLICA
from workerpool_operator.cli.simulate.deciding import Arrivals, Pods, Seen, Verdict
from workerpool_operator.domain.scaling.hpa import PERIOD_SECONDS, TOLERANCE

_WINDOW_SECONDS: Final = 300.0
_POLICY_PODS: Final = 4
_POLICY_FACTOR: Final = 2
_POLL_SECONDS: Final = 30.0
_COOLDOWN_SECONDS: Final = 300.0


class Rival(StrEnum):
    """Whose rule is played beside."""

    HPA = "hpa"
    """An HPA on the queue's depth."""
    KEDA = "keda"
    """A ScaledObject on the queue's depth."""


@dataclass(slots=True)
class Hpa:
    """An HPA, and KEDA's part if `to_zero`."""

    per_replica: int
    least: int
    most: int
    to_zero: bool
    silent: tuple[str, ...] = ()
    _look_at: float = -math.inf
    _poll_at: float = -math.inf
    _active_at: float = -math.inf
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)
    _size: int = 0

    @classmethod
    def of(cls, pool: WorkerPool, pods: Pods) -> "Hpa":
        """Of an HPA with the pool's bounds."""
        return cls._made(pool, pods, to_zero=False)

    @classmethod
    def keda(cls, pool: WorkerPool, pods: Pods) -> "Hpa":
        """Of a ScaledObject with them."""
        return cls._made(pool, pods, to_zero=True)

    @classmethod
    def _made(cls, pool: WorkerPool, pods: Pods, *, to_zero: bool) -> "Hpa":
        del pods
        scaling = pool.spec.scaling
        least = scaling.min_replicas if to_zero else max(1, scaling.min_replicas)
        per_replica = scaling.targets.queue_depth_per_replica or DEFAULT_DEPTH_PER_REPLICA
        return cls(per_replica, least, scaling.max_replicas, to_zero, _size=least)

    def learn(self, arrivals: Arrivals) -> None:
        """It knows only of the present."""

    def arrived(self, jobs: float | None, *, at: float) -> None:
        """It knows only of the present."""

    def decide(self, seen: Seen) -> Verdict:
        """The size that was set last, or another."""
        if self.to_zero and seen.now >= self._poll_at:
            self._poll_at = seen.now + _POLL_SECONDS
            self._activate(seen)
        if self._size and seen.now >= self._look_at:
            self._look_at = seen.now + PERIOD_SECONDS
            self._size = self._next(seen) if seen.known else self._size
        return Verdict(desired=self._size, wanted=self._size, limited_by=() if seen.known else ("Held",))

    def _activate(self, seen: Seen) -> None:
        if not seen.known:
            return
        if seen.waiting + seen.running:
            self._active_at = seen.now
            self._size = self._size or max(1, self.least)
        elif seen.now - self._active_at >= _COOLDOWN_SECONDS:
            self._size = self.least

    def _next(self, seen: Seen) -> int:
        jobs, current = seen.waiting + seen.running, max(seen.pods, 1)
        wanted = math.ceil(jobs / self.per_replica)
        if abs(jobs / (self.per_replica * current) - 1) <= TOLERANCE:
            wanted = current
        wanted = min(max(wanted, 1, self.least), self.most)
        self._recommended.append((seen.now, wanted))
        while self._recommended[0][0] < seen.now - _WINDOW_SECONDS:
            self._recommended.popleft()
        if wanted > self._size:
            return min(wanted, max(self._size * _POLICY_FACTOR, self._size + _POLICY_PODS))
        return min(self._size, max(size for _, size in self._recommended))


DECIDERS: Final = {Rival.HPA: Hpa.of, Rival.KEDA: Hpa.keda}
