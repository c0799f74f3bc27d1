"""What each scaling target asks for. A term is an opinion in workers; `decide` combines them."""

import math
from dataclasses import dataclass
from typing import Final

MOST_PODS: Final = 1_000_000
"""No term asks for more, whatever nonsense is measured: spec.scaling.maxReplicas is always lower."""
MOST_JOBS: Final = 10**15
"""More than any broker holds, and few enough to reckon with; what an endpoint answers may be any number."""
_ROUNDING: Final = 1e-9
"""0.1 * 30 is a little more than 3 in floating point; nobody wants a fourth worker for that."""


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


@dataclass(frozen=True, slots=True)
class Silence:
    """One target that cannot say anything, and why."""

    name: str
    why: str
    holds: bool = True
    """Whether no worker is taken away meanwhile."""


def depth_per_replica(backlog: Backlog, *, per_replica: int) -> Term:
    """Enough workers that each has at most `per_replica` unfinished jobs.

    `ceil((waiting + in_flight) / per_replica)`: 95 waiting + 5 running at 20 -> 5.
    """
    return Term("queueDepthPerReplica", pods(backlog.total / per_replica))


def depth(backlog: Backlog, *, limit: int, current: int, slots: int) -> Term:
    """Grow in proportion while more than `limit` jobs wait; else keep what carries the running jobs.

    Above the limit `ceil(max(current, 1) * waiting / limit)`: 4 workers, 130 waiting, limit 100 -> 6. It refers to
    the present size, so the caller must not ask again before that size has had time to act (it would integrate).
    At or below the limit `ceil(in_flight / slots)`, and at least 1 while any job is unfinished: a target that is
    met gives no reason to grow, nor to stop a worker that is needed.
    """
    if backlog.waiting > limit:
        return Term("queueDepth", pods(max(current, 1) * backlog.waiting / limit))
    carrying = math.ceil(backlog.in_flight / max(slots, 1))
    return Term("queueDepth", max(carrying, 1) if backlog.total else 0)


def little(backlog: Backlog, *, arrivals: float, seconds: float, slots: int) -> Term:
    """Workers that are in work all the time: `ceil(arrivals * seconds / slots)`, by Little's law N = lambda * W.

    J. D. C. Little, "A Proof for the Queuing Formula L = lambda W", Operations Research 9(3), 1961. 10 jobs/s of 0.5 s
    with one slot -> 5. While no job is there at all, whether the last worker stays is the cooldown's affair.
    """
    value = pods(arrivals * seconds / slots)
    return Term("little", value if backlog.total or value > 1 else 0)


def latency(backlog: Backlog, *, goal: float, arrivals: float, seconds: float, slots: int) -> Term:
    """Workers that do what waits within `goal` seconds, and what comes meanwhile.

    `ceil((waiting / goal + arrivals) * seconds / slots)`: 300 waiting, 30 s, 10/s, 0.5 s, one slot -> 10.
    """
    value = pods((backlog.waiting / goal + arrivals) * seconds / slots)
    return Term("jobLatencySeconds", at_work(backlog, value) if backlog.total or value > 1 else 0)


def utilization(backlog: Backlog, *, target: float, busy: int, heard: int, slots: int, current: int) -> Term:
    """Workers of which a share of `target` of the slots is busy: `ceil(busy / (slots * target))`.

    60 busy, 20 slots, 0.75 -> 4. `heard` of `current` workers have said how busy they are.
    """
    return Term("utilization", at_work(backlog, _spread(busy / (slots * target), heard=heard, current=current)))


def cpu(backlog: Backlog, *, target: float, cores: float, request: float, heard: int, current: int) -> Term:
    """Workers that use a share of `target` of the CPU that they request: `ceil(cores / (request * target))`.

    That is `ceil(current * utilization / target)`, as an HPA has it, when all have been heard: 4 workers at 0.9, 0.7
    -> 6.
    """
    return Term("cpuUtilization", at_work(backlog, _spread(cores / (request * target), heard=heard, current=current)))


def warm(backlog: Backlog, *, idle: int, slots: int) -> Term:
    """So many workers without a job beside those that carry the running jobs: 35 running, 20 slots, 3 -> 5."""
    return Term("warmReplicas", pods(backlog.in_flight / slots) + idle)


def at_work(backlog: Backlog, value: int) -> int:
    """At least one worker while any job is not finished."""
    return max(value, 1) if backlog.total else value


def pods(amount: float) -> int:
    """Rounded up, but not by the error of floating point, and never beyond `MOST_PODS`."""
    return math.ceil(min(amount, MOST_PODS) - _ROUNDING)


def _spread(needed: float, *, heard: int, current: int) -> int:
    """Workers for a load that `heard` of the `current` ones have told.

    Those that are not heard have just started, or are cut off. They neither add to the size nor take from it: as if
    idle where the others are overloaded, and as busy as wanted where they are not. An HPA does the same with pods that
    are not ready.
    """
    silent = max(0, current - heard)
    return max(pods(needed), min(current, pods(needed + silent)))
