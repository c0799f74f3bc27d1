"""What a size depends on besides this moment's samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Remembered between two decisions. Times are monotonic seconds.

    A new leader starts with `History(active_at=now, since=now)`: whatever happened before is unknown, so the
    cooldown begins again and nothing is scaled in before one stabilisation window was seen.
    """

    since: float
    """When this history began."""
    active_at: float
    """When an unfinished job was last seen, or jobs were known to have come."""
    arrivals: Mapping[str, int] = field(default_factory=dict)
    """Queue -> jobs that ever came, where its broker counts them."""
    peaks: tuple[tuple[float, int], ...] = ()
    """(time, wanted), oldest first and strictly falling: all that is needed to know the largest of a window."""
    depth_at: float | None = None
    """When the queueDepth target was last evaluated above its limit."""
    depth_value: int = 0
    gap: bool = False
    """Whether a queue was unknown at the last look. What is seen after a gap begins a new history."""

    def resumed(self, *, now: float) -> "History":
        """After a gap: jobs may have come and gone meanwhile, so cooldown and window begin again."""
        return replace(self, gap=False, since=now, active_at=now, peaks=())

    def arrived(self, arrivals: Mapping[str, int], *, now: float) -> "History":
        """Jobs may come and be done between two readings: then only their count tells of them.

        A count that fell began anew (the broker was emptied): what came since is unknown, and no activity.
        """
        came = any(count > self.arrivals.get(queue, count) for queue, count in arrivals.items())
        known = {**self.arrivals, **arrivals}
        return replace(self, arrivals=known, active_at=now if came else self.active_at)

    def with_wanted(self, wanted: int, *, now: float, window: float) -> "History":
        """Remember one more opinion and forget those that left the window."""
        kept = [(at, value) for at, value in self.peaks if at > now - window and value > wanted]
        return replace(self, peaks=(*kept, (now, wanted)))

    @property
    def largest(self) -> int:
        """The largest opinion within the window that the last `with_wanted` used."""
        return self.peaks[0][1]
