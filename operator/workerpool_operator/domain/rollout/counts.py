"""Moves counts between Deployments whose templates never change.

The Deployment controller's own rolling update is not used: it picks its victims unfenced and scales ReplicaSets in
proportion. Here one worker more of the new version is started (`SURGE`), and when it is ready one of the old is
handed to scale-in, which takes an idle one. Every call follows from the observed counts alone, so a takeover that
was cut off anywhere goes on where it was, and a third version in the middle simply becomes the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SURGE: Final = 1
"""Workers above the total while versions change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One Deployment's counts, in pods. `replicas` is what its spec says now."""

    name: str
    replicas: int
    ready: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What to change: sizes to raise to at once, and how many to take away when they can go."""

    raise_to: dict[str, int] = field(default_factory=dict)
    remove: dict[str, int] = field(default_factory=dict)


def move_counts(*, target: Slot, others: Sequence[Slot], total: int) -> Counts:
    """One step from the observed counts towards `total` workers, all of them in `target`.

    Holds: never more than `total + SURGE` workers are asked for, and the others give up a worker only for a ready
    one of the target, so a version that does not start takes nobody's place.
    """
    live = [slot for slot in others if slot.replicas > 0]
    if not live:
        return _one_deployment(target, total=total)
    old = sum(slot.replicas for slot in live)
    raise_to = _growth(target, live, old=old, total=total)
    remove = _removal(target, live, old=old, total=total)
    if target.replicas > total:
        remove[target.name] = target.replicas - total
    return Counts(raise_to=raise_to, remove={name: count for name, count in remove.items() if name not in raise_to})


def _one_deployment(target: Slot, *, total: int) -> Counts:
    if target.replicas < total:
        return Counts(raise_to={target.name: total})
    if target.replicas > total:
        return Counts(remove={target.name: target.replicas - total})
    return Counts()


def _growth(target: Slot, live: Sequence[Slot], *, old: int, total: int) -> dict[str, int]:
    asked = target.replicas + old
    missing = total - asked
    if missing > 0:
        # Load goes to a version that has shown it can start; until the new one has, that is the old one.
        receiver = target if target.ready > 0 else max(live, key=lambda slot: (slot.ready, slot.replicas))
        return {receiver.name: receiver.replicas + missing}
    all_ready = target.ready >= target.replicas
    if total > 0 and target.replicas < total and all_ready and asked < total + SURGE:
        return {target.name: target.replicas + min(total + SURGE - asked, total - target.replicas)}
    return {}


def _removal(target: Slot, live: Sequence[Slot], *, old: int, total: int) -> dict[str, int]:
    ready = min(target.ready, target.replicas, total)
    spare = max(0, min(old, ready + old - total))
    remove: dict[str, int] = {}
    for slot in sorted(live, key=lambda slot: (slot.ready, slot.name)):
        share = min(spare, slot.replicas)
        if share:
            remove[slot.name] = share
            spare -= share
    return remove
