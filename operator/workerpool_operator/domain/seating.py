"""How many workers a pool that shares a budget asks Kubernetes for: never more than it has been given seats for.

The size that was decided on is within the grant already. What is looked at here is everything beside it: workers of
earlier sizes that still finish their jobs, and those more that a change of version runs. Where the grant has no room
for one, the pool gives up one of the old version first, as long as it has more than one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from workerpool_operator.domain import desired, layout
from workerpool_operator.domain.rollout.counts import Counts
from workerpool_operator.domain.rollout.steps import Wait
from workerpool_operator.domain.scaling import Claim, SeatMemory, occupied
from workerpool_operator.domain.snapshot import Seats, Snapshot
from workerpool_operator.domain.versions import Trial, Versions, choose, lacks_worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """What is asked for, and what it means for the seats."""

    size: int
    versions: Versions
    seats: SeatMemory | None = None
    claim: Claim | None = None
    short: bool = False
    """Whether the budget keeps the pool from what was decided, or from those more for a change of version."""
    list_in: float | None = None
    """Seconds until the pods should be listed for the sake of the seats."""


def remembered(snapshot: Snapshot) -> SeatMemory | None:
    """What the pool holds of its budget, by what is observed now."""
    seats, now = snapshot.seats, snapshot.now
    if seats is None:
        return None
    sizes = {name: child.replicas for name, child in snapshot.deployments.items()}
    places, pods = snapshot.places, snapshot.pods
    asked, there = sum(sizes.values()) - places.all_lost, None
    if pods is not None:
        ending = pods.terminating - places.silent  # on a node that is lost they never end, and do no harm
        there = max(0, occupied(sizes, pods.active, terminating=len(ending)) - places.all_lost)
    before = snapshot.memory.seats or SeatMemory.new(asked=asked, reserved=seats.reserved, now=now)
    return before.seen(asked=asked, occupied=there, now=now)


def claim_of(snapshot: Snapshot, held: SeatMemory | None, *, wanted: int) -> Claim | None:
    """What the pool tells its budget."""
    spec = snapshot.pool.spec.scaling
    if held is None or spec.budget is None:
        return None
    return Claim(
        pool=(snapshot.pool.namespace, snapshot.pool.name),
        wanted=wanted,
        guaranteed=spec.min_replicas,
        priority=spec.budget.priority,
        used=held.used,
    )


def seat(snapshot: Snapshot, held: SeatMemory | None, *, target: desired.Revision, wanted: int, size: int) -> Seating:
    """Who gets workers at this moment, of the `size` that was decided on; `wanted` is that without the budget."""
    versions = choose(snapshot, target=target, total=size)
    seats = snapshot.seats
    if seats is None or held is None:
        return Seating(size=size, versions=versions)
    surge = _surge(snapshot, versions, size=size)
    makes_room = bool(surge) and size > 1 and size == seats.granted
    if makes_room:
        size -= 1
        versions = choose(snapshot, target=target, total=size)
    growth = _growth(snapshot, versions.counts)
    allowed = _within(growth, _room(snapshot, seats, held))
    grown = sum(allowed.values())
    short = makes_room or sum(growth.values()) > max(0, (seats.granted or 0) - held.used)
    counts = replace(versions.counts, raise_to=_raised(snapshot, versions.counts, growth, allowed))
    versions = replace(versions, counts=counts)
    if short and versions.trial and _unseated(snapshot, versions, versions.trial, allowed, size=size):
        versions = replace(versions, trial=versions.trial.without_worker(Wait.SEAT))
    listed_at = snapshot.memory.pods_listed_at if snapshot.pods is None else snapshot.now
    hopes = bool(growth) and held.asked < (seats.granted or 0)
    list_in = held.list_in(growing=hopes, listed_at=listed_at, now=snapshot.now)
    held = held.grown(grown)
    return Seating(
        size=size,
        versions=versions,
        seats=held,
        claim=claim_of(snapshot, held, wanted=wanted + surge),
        short=short,
        list_in=list_in,
    )


def _surge(snapshot: Snapshot, versions: Versions, *, size: int) -> int:
    """How many more a change of version or place runs: one at least, for as long as a worker of another is there."""
    others = (group.replicas for name, group in layout.groups(snapshot).items() if name != versions.main)
    if not size or not (versions.canary or any(others) or layout.moving(snapshot)):
        return 0
    asked = sum(layout.counted(snapshot).values())
    above = asked + sum(_growth(snapshot, versions.counts).values()) - size
    return max(1, min(snapshot.pool.spec.rollout.surge, above))


def _growth(snapshot: Snapshot, counts: Counts) -> dict[str, int]:
    """Deployment -> by how many it would be raised."""
    there = {name: child.replicas for name, child in snapshot.deployments.items()}
    return {name: more for name, size in counts.raise_to.items() if (more := size - there.get(name, 0)) > 0}


def _unseated(snapshot: Snapshot, versions: Versions, trial: Trial, allowed: Mapping[str, int], *, size: int) -> bool:
    """Whether the canary has no worker and gets none now. `allowed`: Deployment -> by how many it may grow."""
    if not versions.canary or not lacks_worker(snapshot, trial.outcome.state.canary, total=size):
        return False
    homes = (place for place in (snapshot.places.home, snapshot.places.away) if place is not None)
    return not any(allowed.get(desired.deployment_name(versions.canary, place)) for place in homes)


def _room(snapshot: Snapshot, seats: Seats, held: SeatMemory) -> int:
    """Seats that are surely free: counted now, and after all that was asked for before has settled."""
    if seats.granted is None or snapshot.pods is None or snapshot.now < held.settles_at:
        return 0
    return max(0, seats.granted - held.used)


def _within(growth: Mapping[str, int], room: int) -> dict[str, int]:
    allowed: dict[str, int] = {}
    for name, more in growth.items():
        allowed[name] = min(more, room)
        room -= allowed[name]
    return allowed


def _raised(
    snapshot: Snapshot, counts: Counts, growth: Mapping[str, int], allowed: Mapping[str, int]
) -> dict[str, int]:
    return {
        name: size - growth.get(name, 0) + allowed.get(name, 0)
        for name, size in counts.raise_to.items()
        if name not in growth or allowed[name] or name not in snapshot.deployments
    }
