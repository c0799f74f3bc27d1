"""What a pool holds of its budget: the pods that it has, has asked for, or is getting rid of.

Kubernetes does what a Deployment asks for later, and not at once: a pod that was asked for a moment ago may still be
made after the Deployment was lowered, and one that is deleted is there until its jobs are done. So what a pool holds is
counted by listing its pods, and only once the last change has settled. Until then it holds what it held before, and
takes nothing new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from workerpool_operator.domain.scaling.workers import Pod

SETTLE_SECONDS: Final = 2.0
"""A Deployment that was lowered, and its ReplicaSet, have been seen by their controllers by then (generously)."""
UNCERTAIN_SECONDS: Final = 10.0
"""A write that was not answered may still be carried out; by then it has been, and has been seen, or will not be."""
GROWING_LIST_SECONDS: Final = 1.0
DRAINING_LIST_SECONDS: Final = 2.0
"""The pods are listed at most this often by who wants seats, and by who gives them back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatMemory:
    """What a pool holds, and how surely. A new leader begins with what the budget's ledger says."""

    asked: int
    """Sum of the Deployments' sizes at the last look."""
    used: int
    counted: bool = False
    """Whether this leader has counted the pods at all."""
    settles_at: float

    @classmethod
    def new(cls, *, asked: int, reserved: int, now: float) -> "SeatMemory":
        """Of a leader that looks for the first time. `reserved`: what the ledger keeps for the pool."""
        return cls(asked=asked, used=max(asked, reserved), settles_at=now + SETTLE_SECONDS)

    def seen(self, *, asked: int, occupied: int | None, now: float) -> "SeatMemory":
        """After one more look; `occupied` by a list of the pods, if there is one."""
        settles_at = max(self.settles_at, now + SETTLE_SECONDS) if asked < self.asked else self.settles_at
        seen = replace(self, asked=asked, used=max(self.used, asked), settles_at=settles_at)
        if occupied is None or now < settles_at:
            return seen
        return replace(seen, used=occupied, counted=True)

    def grown(self, by: int) -> "SeatMemory":
        """So many more are asked for in this very step."""
        return replace(self, used=self.used + by)

    def unanswered(self, *, now: float) -> "SeatMemory":
        """A Deployment's write was refused, or not answered."""
        return replace(self, settles_at=max(self.settles_at, now + UNCERTAIN_SECONDS))

    def list_in(self, *, growing: bool, listed_at: float | None, now: float) -> float | None:
        """Seconds until the pods should be listed; None: there is nothing to learn from them."""
        if not growing and self.counted and self.used <= self.asked:
            return None
        pause = GROWING_LIST_SECONDS if growing else DRAINING_LIST_SECONDS
        return max(self.settles_at, now if listed_at is None else listed_at + pause) - now


def occupied(sizes: Mapping[str, int], pods: Iterable[Pod], *, terminating: int) -> int:
    """Pods that there are or will be by what Deployments (name -> size) ask for now."""
    there = dict.fromkeys(sizes, 0)
    for pod in pods:
        there[pod.deployment] = there.get(pod.deployment, 0) + 1
    return sum(max(count, sizes.get(name, 0)) for name, count in there.items()) + terminating
