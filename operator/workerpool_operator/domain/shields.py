"""Busy workers ask those who empty nodes to leave them alone: annotations on pods, which autoscalers heed.

A shield goes up when a worker is seen with a job, and down when it has been without one for a minute, so a pool of
short jobs costs one write per worker and not one per job. What a leader before put up is not known: before the first
worker's is written for that, the pool's pods are looked at, unless it is so few of many that to write costs less. Else
each new leader would write once to each of 20,000 pods. Who is seen busy for the first time after that look is written
to without another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from workerpool_operator.domain.scaling import Report

IDLE_SECONDS: Final = 60.0
MOST_AT_ONCE: Final = 20
INTERVAL_SECONDS: Final = 1.0
"""Between two batches of writes of one pool."""
PODS_FOR_A_WRITE: Final = 10
"""To list so many costs as much as one write."""
ANNOTATIONS: Final[Mapping[str, str]] = {
    "karpenter.sh/do-not-disrupt": "true",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shield:
    """Of one pod."""

    up: bool | None = None
    """None: not known, a leader before may have put it up."""
    idle_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shields:
    """What has been written of late, by the pods' uids."""

    of: Mapping[str, Shield] = field(default_factory=dict)
    written_at: float | None = None
    looked: bool = False
    """Whether the pods were listed since this leader began."""

    def without(self, uids: frozenset[str]) -> "Shields":
        """The writes for these were refused: what stands there is not known."""
        return replace(self, of={uid: replace(one, up=None) if uid in uids else one for uid, one in self.of.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShieldOrder:
    """Put a pod's shield up, or take it down."""

    pod: str
    uid: str
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shielding:
    """What to write now, and what is known once it is written."""

    orders: tuple[ShieldOrder, ...]
    memory: Shields
    look_again: float | None = None
    wants_pods: bool = False
    """The pods should be listed for what is not known; then ask again."""


def shield(
    memory: Shields,
    reports: Mapping[str, Report],
    *,
    wanted: bool,
    now: float,
    seen: Mapping[str, bool | None] | None = None,
) -> Shielding:
    """The shields for these workers.

    `wanted`: whether the pool has any; otherwise all go down. `seen`: by uid whether a shield stands at the pod, None
    where half of one does; None for the whole where they were not listed.
    """
    of, due, left = {}, [], []
    for uid, report in reports.items():
        before = memory.of.get(uid, Shield())
        if before.up is None and seen:
            before = replace(before, up=seen.get(uid))
        if not (report.fresh and report.pod) or report.draining:
            of[uid] = before  # too little is known of it, or it goes anyway
            continue
        up, seconds = (True, None) if wanted and report.in_flight else _idle(before, wanted=wanted, now=now)
        of[uid] = Shield(up=before.up, idle_since=None if up else before.idle_since or now)
        if up is not None and up != before.up:
            due.append(ShieldOrder(pod=report.pod, uid=uid, up=up))
        if seconds is not None:
            left.append(seconds)
    unknown = sum(of[order.uid].up is None and not (order.up and memory.looked) for order in due)
    wait = 0.0 if memory.written_at is None else memory.written_at + INTERVAL_SECONDS - now
    # Those that protect first: a node may be emptied at any moment.
    orders = tuple(sorted(due, key=lambda order: (not order.up, order.uid))[:MOST_AT_ONCE]) if wait <= 0 else ()
    of |= {order.uid: replace(of[order.uid], up=order.up) for order in orders}
    if len(orders) < len(due):
        left.append(wait if wait > 0 else INTERVAL_SECONDS)
    return Shielding(
        orders=orders,
        memory=Shields(
            of=of, written_at=now if orders else memory.written_at, looked=memory.looked or seen is not None
        ),
        look_again=min(left, default=None),
        wants_pods=seen is None and unknown > 0 and len(reports) <= unknown * PODS_FOR_A_WRITE,
    )


def _idle(before: Shield, *, wanted: bool, now: float) -> tuple[bool | None, float | None]:
    """Of a worker without a job: what its shield is to be, None as it is, and in how many seconds that changes."""
    left = (before.idle_since or now) + IDLE_SECONDS - now
    if wanted and left > 0 and before.up is not False:
        return None, left
    return False, None
