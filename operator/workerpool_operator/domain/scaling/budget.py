"""How pools share a budget: by priority, then max-min fair on need, and never more than there is.

`shares` says what each pool should have. What it may have now (`settle`) is less as long as others have not given back
what they hold above theirs: a worker that finishes its jobs has its seat until it is gone. So the sum of what pools
hold and of what they have been given stays within the budget at every moment, however late anybody hears of it: what
is taken from one is given to another only after it has been seen to be free.

Max-min fair (Bertsekas and Gallager, Data Networks, 6.5.2): a level is raised for all alike, who needs less keeps to
its need, and what that leaves raises the others. So nobody gets more than another who needs as much.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

PoolId: TypeAlias = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one pool asks of its budget, in worker pods."""

    pool: PoolId
    wanted: int
    """What it would have without the budget."""
    guaranteed: int = 0
    """So many of the wanted come before anybody gets more."""
    priority: int = 0
    """The higher come first."""
    used: int = 0
    """What it holds: pods that exist, and those that it has asked Kubernetes for."""
    granted: int = 0
    """What it has been given, and may be asking Kubernetes for by now."""


def shares(claims: Iterable[Claim], seats: int) -> dict[PoolId, int]:
    """What each pool should have of so many seats; together never more, and never more than it wants."""
    ordered = _ordered(claims)
    floors = {claim.pool: min(claim.guaranteed, claim.wanted) for claim in ordered}
    wants = {claim.pool: claim.wanted for claim in ordered}
    nobody = dict.fromkeys(wants, 0)
    return _raised(ordered, _raised(ordered, nobody, floors, seats=seats), wants, seats=seats)


def settle(claims: Iterable[Claim], seats: int) -> dict[PoolId, int]:
    """What each pool may have now: its share, as far as others have given back what they have above theirs.

    Holds, if it held before: the sum over all pools of the larger of what they hold and what they may have is within
    the seats. It does not hold when seats are taken away from the budget, or a pool brings workers with it; then nobody
    gets a seat until it holds again.
    """
    ordered = _ordered(claims)
    share = shares(ordered, seats)
    kept = {claim.pool: max(claim.used, min(claim.granted, share[claim.pool])) for claim in ordered}
    reached = _raised(ordered, kept, share, seats=seats)
    return {pool: min(share[pool], reached[pool]) for pool in share}


def _ordered(claims: Iterable[Claim]) -> Sequence[Claim]:
    """By priority; then by name, so that a seat that cannot be divided always goes to the same pool."""
    return sorted(claims, key=lambda claim: (-claim.priority, claim.pool))


def _raised(
    ordered: Sequence[Claim], start: Mapping[PoolId, int], wants: Mapping[PoolId, int], *, seats: int
) -> dict[PoolId, int]:
    """From `start`, which counts against the seats, towards what is wanted: one priority after the other."""
    found, free = dict(start), seats - sum(start.values())
    for _, group in groupby(ordered, key=lambda claim: claim.priority):
        pools = [claim.pool for claim in group]
        level = _level(pools, start, wants, free=free)
        for pool in pools:
            found[pool] = _lifted(start[pool], wants[pool], level=level)
        free -= sum(found[pool] - start[pool] for pool in pools)
        for pool in pools:  # fewer seats than pools at this level are left: none of these could be divided
            if free > 0 and found[pool] == level < wants[pool]:
                found[pool] += 1
                free -= 1
    return found


def _lifted(start: int, want: int, *, level: int) -> int:
    return max(start, min(want, level))


def _level(pools: Sequence[PoolId], start: Mapping[PoolId, int], wants: Mapping[PoolId, int], *, free: int) -> int:
    """The highest level that so many free seats are enough for."""
    low, high = 0, max(wants[pool] for pool in pools)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(_lifted(start[pool], wants[pool], level=middle) - start[pool] for pool in pools) <= free:
            low = middle
        else:
            high = middle - 1
    return low
