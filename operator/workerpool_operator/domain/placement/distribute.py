"""How the workers of one revision lie over places: one step from the observed counts.

Home is where they belong. Away is where those are made up for that home has lost. All others (a place that the pool
named before) give their workers up, one for each that is ready at home, as an old version does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workerpool_operator.domain.rollout.counts import Counts, Slot, move_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The Deployments of one revision. Sizes are what their specs say, whatever of that is lost."""

    home: Slot
    away: Slot | None = None
    """None: the pool has no second place."""
    others: tuple[Slot, ...] = ()
    lost: int = 0
    """Of home's workers; 0 where there is no other place."""

    @property
    def counted(self) -> Slot:
        """Home without what is lost."""
        if not self.lost:
            return self.home
        counted = self.home.replicas - self.lost
        return replace(self.home, replicas=counted, ready=min(self.home.ready, counted))

    @property
    def all(self) -> Slot:
        """All places together, as what moves counts between versions sees it."""
        slots = [self.counted, *self.elsewhere]
        return Slot(
            name=self.home.name,
            replicas=sum(slot.replicas for slot in slots),
            ready=sum(slot.ready for slot in slots),
        )

    @property
    def elsewhere(self) -> tuple[Slot, ...]:
        """All but home, away last: it is given up last."""
        return (*self.others, *((self.away,) if self.away else ()))

    @property
    def moving(self) -> bool:
        """Whether workers are not where they belong."""
        return bool(self.lost) or any(slot.replicas for slot in self.elsewhere)


def distribute(layout: Layout, *, total: int, may_surge: bool) -> Counts:
    """One step towards `total` workers of this revision. `may_surge`: whether it may start one above that to move.

    Holds: what is asked for, without the lost, is never below `total` after the step, unless less than that is taken
    away elsewhere; and never above it by more than a surge. While workers are lost, home's Deployment is not lowered
    for their sake: when its nodes are back it has its workers again by itself.
    """
    if layout.lost and layout.away is not None:
        return _made_up(layout, layout.away, total=total)
    counts = move_counts(target=layout.counted, others=layout.elsewhere, total=total)
    if layout.all.replicas >= total and not may_surge:
        return replace(counts, raise_to={})
    return counts


def _made_up(layout: Layout, away: Slot, *, total: int) -> Counts:
    """While workers are lost all growth goes away, and what is too many is taken from there first."""
    surplus = layout.all.replicas - total
    if surplus < 0:
        return Counts(raise_to={away.name: away.replicas - surplus})
    if total == 0:
        return Counts(remove={slot.name: slot.replicas for slot in (*layout.elsewhere, layout.home) if slot.replicas})
    return Counts(remove=_taken((*layout.elsewhere, layout.counted), surplus))


def _taken(slots: Sequence[Slot], count: int) -> dict[str, int]:
    taken: dict[str, int] = {}
    for slot in slots:
        share = min(count, slot.replicas)
        if share:
            taken[slot.name] = share
            count -= share
    return taken


def merged(parts: Iterable[Counts]) -> Counts:
    """Of several revisions: they share no Deployment."""
    raise_to: dict[str, int] = {}
    remove: dict[str, int] = {}
    for part in parts:
        raise_to |= part.raise_to
        remove |= part.remove
    return Counts(raise_to=raise_to, remove=remove)
