"""How many workers, threads and pods a load needs: pure arithmetic. Rates are per second, times in seconds.

A *slot* runs one job at a time: a task, a thread or a process of a worker's lanes. A pod has one worker of many slots.
"""

import math
from typing import Final

_ROUNDING: Final = 1e-9
"""0.1 * 30 is a little more than 3 in floating point; nobody wants a fourth worker for that."""


def whole(amount: float) -> int:
    """Rounded up, but not by the error of floating point."""
    return math.ceil(amount - _ROUNDING)


def in_work(*, rate: float, seconds: float) -> float:
    """Jobs in work at a time: N = λ x W.

    J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9(3), 1961. It holds for any
    distribution of arrivals and of job times, as long as nothing piles up. 10 jobs/s of 0.5 s each: 5.
    """
    return rate * seconds


def threads(*, cores: float, wait: float, service: float) -> float:
    """Threads that keep the cores busy: cores x (1 + wait / service).

    B. Goetz et al., "Java Concurrency in Practice", 2006, section 8.2, at a target utilisation of 1. While one thread
    waits, wait / service others can compute. 4 cores, 200 ms of waiting and 50 ms of computing: 20.

    Raises:
        ValueError: nothing is computed, so the cores say nothing about the number of threads.
    """
    if service <= 0:
        raise ValueError("jobs that compute nothing need no cores: what they call decides how many may run at a time")
    return cores * (1 + wait / service)


def with_room(slots: float, *, utilisation: float) -> float:
    """Slots for the same work when each may be busy for this share of the time only."""
    return slots / utilisation


def late_share(slots: int, *, rate: float, seconds: float, goal: float) -> float:
    """The share of jobs that wait longer than `goal` seconds before one of `slots` is free.

    Erlang C: P(wait > t) = C(c, a) x exp(-(c / W - λ) x t) with a = λ x W (A. K. Erlang, 1917; L. Kleinrock, "Queueing
    Systems" volume 1, 1975, section 3.5). It assumes jobs that come by chance one by one and job times spread
    exponentially: more regular ones wait less, bursts wait more. 1 where the slots cannot keep up at all.
    """
    load = in_work(rate=rate, seconds=seconds)
    if load == 0:
        return 0.0
    if slots <= load:
        return 1.0
    # Erlang B by its recursion, which does not overflow as the factorials would.
    blocked = 1.0
    for count in range(1, slots + 1):
        blocked = load * blocked / (count + load * blocked)
    waits = blocked / (1 - load / slots * (1 - blocked))
    return waits * math.exp(-(slots / seconds - rate) * goal)


def slots_for_wait(*, rate: float, seconds: float, goal: float, share: float) -> int:
    """The fewest slots with which at least this share of jobs starts within `goal` seconds; see `late_share`."""

    def enough(slots: int) -> bool:
        return late_share(slots, rate=rate, seconds=seconds, goal=goal) <= 1 - share

    few = math.floor(in_work(rate=rate, seconds=seconds))  # too few: they cannot keep up
    many = few + 1
    while not enough(many):
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def pods(*, slots: float, per_pod: float) -> int:
    """Pods that have so many slots together."""
    return max(1, whole(slots / per_pod))
