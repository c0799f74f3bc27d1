"""Moves counts between Deployments whose templates never change.

The Deployment controller's own rolling update is not used: it picks its victims unfenced and scales ReplicaSets in
proportion. Here a worker more of the new version is started (as many as the pool's surge), and when it is ready one of
the old is handed to scale-in, which takes an idle one. Every call follows from the observed counts alone, so a takeover
that was cut off anywhere goes on where it was, and a third version in the middle simply becomes the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from workerpool_operator.domain.rollout.splitter import Split


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


def move_counts(*, target: Slot, others: Sequence[Slot], total: int, surge: int = 1) -> Counts:
    """One step from the observed counts towards `total` workers, all of them in `target`.

    Holds: never more than `total + surge` workers are asked for, and the others give up a worker only for a ready
    one of the target, so a version that does not start takes nobody's place.
    """
    live = [slot for slot in others if slot.replicas > 0]
    if not live:
        return _one_deployment(target, total=total)
    old = sum(slot.replicas for slot in live)
    raise_to = _growth(target, live, old=old, total=total, surge=surge)
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


def _growth(target: Slot, live: Sequence[Slot], *, old: int, total: int, surge: int) -> dict[str, int]:
    asked = target.replicas + old
    missing = total - asked
    if missing > 0:
        # Load goes to a version that has shown it can start; until the new one has, that is the old one.
        receiver = target if target.ready > 0 else max(live, key=lambda slot: (slot.ready, slot.replicas))
        return {receiver.name: receiver.replicas + missing}
    all_ready = target.ready >= target.replicas
    if total > 0 and target.replicas < total and all_ready and asked < total + surge:
        return {target.name: target.replicas + min(total + surge - asked, total - target.replicas)}
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


def hold_shares(
    *, stable: Slot, canary: Slot, others: Sequence[Slot], split: Split, total: int, surge: int = 1
) -> Counts:
    """One step from the observed counts towards `split`, where two versions are to stay, and the others to go.

    The same holds as for `move_counts`. While the canary does not start the stable version makes up for it.
    """
    asked = stable.replicas + canary.replicas + sum(slot.replicas for slot in others)
    raise_to = _fill(stable, canary, split=split, missing=total - asked)
    if not raise_to and total > 0 and asked < total + surge:
        short = [
            (slot, share) for slot, share in ((canary, split.canary), (stable, split.stable)) if slot.replicas < share
        ]
        raise_to = {
            slot.name: min(share, slot.replicas + total + surge - asked)
            for slot, share in short[:1]
            if slot.ready >= slot.replicas
        }
    kept = min(stable.ready, stable.replicas, split.stable) + min(canary.ready, canary.replicas, split.canary)
    surplus = {slot.name: slot.replicas for slot in sorted(others, key=lambda slot: (slot.ready, slot.name))}
    surplus[canary.name] = max(0, canary.replicas - split.canary)
    surplus[stable.name] = max(0, stable.replicas - split.stable)
    # Beside a single worker the canary is one above the total: it need not be there before another may go.
    spare = kept + sum(surplus.values()) - total
    remove: dict[str, int] = {}
    for name, count in surplus.items():
        share = min(max(spare, 0), count)
        spare -= share
        if share and name not in raise_to:
            remove[name] = share
    return Counts(raise_to=raise_to, remove=remove)


def _fill(stable: Slot, canary: Slot, *, split: Split, missing: int) -> dict[str, int]:
    """Workers that are missing altogether: the stable version's share first, and all of it until the canary starts."""
    if missing <= 0:
        return {}
    starts = canary.ready >= canary.replicas
    first = min(missing, max(0, split.stable - stable.replicas))
    tried = min(missing - first, max(0, split.canary - canary.replicas)) if starts else 0
    grown = {stable.name: missing - tried, canary.name: tried}
    sizes = {stable.name: stable.replicas, canary.name: canary.replicas}
    return {name: sizes[name] + more for name, more in grown.items() if more}
