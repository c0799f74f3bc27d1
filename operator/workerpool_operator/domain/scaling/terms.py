"""What each scaling target asks for. A term is an opinion in workers; `decide` combines them."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Jobs of all the pool's queues together, from fresh samples only."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        """Jobs that are not finished."""
        return self.waiting + self.in_flight


@dataclass(frozen=True, slots=True)
class Term:
    """One target's opinion: `value` workers."""

    name: str
    value: int


def depth_per_replica(backlog: Backlog, *, per_replica: int) -> Term:
    """Enough workers that each has at most `per_replica` unfinished jobs.

    `ceil((waiting + in_flight) / per_replica)`: 95 waiting + 5 running at 20 -> 5.
    """
    return Term("queueDepthPerReplica", math.ceil(backlog.total / per_replica))


def depth(backlog: Backlog, *, limit: int, current: int, slots: int) -> Term:
    """Grow in proportion while more than `limit` jobs wait; else keep what carries the running jobs.

    Above the limit `ceil(max(current, 1) * waiting / limit)`: 4 workers, 130 waiting, limit 100 -> 6. It refers to
    the present size, so the caller must not ask again before that size has had time to act (it would integrate).
    At or below the limit `ceil(in_flight / slots)`, and at least 1 while any job is unfinished: a target that is
    met gives no reason to grow, nor to stop a worker that is needed.
    """
    if backlog.waiting > limit:
        return Term("queueDepth", math.ceil(max(current, 1) * backlog.waiting / limit))
    carrying = math.ceil(backlog.in_flight / max(slots, 1))
    return Term("queueDepth", max(carrying, 1) if backlog.total else 0)
