"""What a size depends on besides this moment's samples."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Remembered between two decisions. Times are monotonic seconds.

    A new leader starts with `History(active_at=now, since=now)`: whatever happened before is unknown, so the
    cooldown begins again and nothing is scaled in before one stabilisation window was seen.
    """

    since: float
    """When this history began."""
    active_at: float
    """When an unfinished job was last seen."""
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

    def with_wanted(self, wanted: int, *, now: float, window: float) -> "History":
        """Remember one more opinion and forget those that left the window."""
        kept = [(at, value) for at, value in self.peaks if at > now - window and value > wanted]
        return replace(self, peaks=(*kept, (now, wanted)))

    @property
    def largest(self) -> int:
        """The largest opinion within the window that the last `with_wanted` used."""
        return self.peaks[0][1]
