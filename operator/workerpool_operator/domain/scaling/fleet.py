"""What a pool's workers say of themselves, all together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from workerpool_operator.domain.scaling.workers import Report

MOST_TRIPPED: Final = 0.5
"""Where so large a share of the workers finds what it calls down, the trouble is not that of one worker."""
_MOST: Final = 1_000_000
"""Of slots and jobs of one worker: its word is not trusted to be a sensible number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Sums over the workers that have been heard of late and are not about to stop."""

    heard: int = 0
    busy: int = 0
    """Jobs that they run, of each at most what it has slots for."""
    slots: int | None = None
    """Slots of one of them on the average, without limits that it found itself; None: nobody says."""
    cpu_heard: int = 0
    """Workers that say how many cores they use."""
    cpu_cores: float = 0.0
    """Cores that these use."""
    tripped: int = 0
    """Workers that take nothing because what they call is down."""

    @property
    def downstream_is_down(self) -> bool:
        """Whether more workers would find the same closed door."""
        return self.tripped > 0 and self.tripped >= MOST_TRIPPED * self.heard


def muster(reports: Iterable[Report]) -> Fleet:
    """The fleet, by its newest reports."""
    heard = [one for one in reports if one.fresh and not one.draining]
    slots = [min(most, _MOST) for one in heard if (most := one.most_slots or one.slots)]
    cores = [one.cpu_cores for one in heard if one.cpu_cores is not None]
    return Fleet(
        heard=len(heard),
        busy=sum(min(one.in_flight, one.most_slots or one.slots or one.in_flight, _MOST) for one in heard),
        slots=max(1, round(sum(slots) / len(slots))) if slots else None,
        cpu_heard=len(cores),
        cpu_cores=sum(cores),
        tripped=sum(1 for one in heard if one.tripped),
    )
