"""What a size depends on besides this moment's samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

PACE_SECONDS: Final = 60.0
"""Paces are given per minute."""


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
    troughs: tuple[tuple[float, int], ...] = ()
    """The same for the smallest: strictly rising."""
    sizes: tuple[tuple[float, int], ...] = ()
    """(time, size that the pool had from then on), oldest first, of the last minute and at its begin."""
    depth_at: float | None = None
    """When the queueDepth target was last evaluated above its limit."""
    depth_value: int = 0
    blind_since: float | None = None
    """Since when no queue at all is known; None while one is."""
    gap_since: float | None = None
    """Since when a queue is unknown; None: none was at the last look."""

    def with_gap(self, since: float, *, blind_since: float | None) -> "History":
        """A queue is unknown, since then or longer."""
        known = since if self.gap_since is None else min(self.gap_since, since)
        return replace(self, gap_since=known, blind_since=blind_since)

    def resumed(self, *, now: float, bridged: float) -> "History":
        """After a gap jobs may have come and gone meanwhile, so cooldown and window begin again.

        Not after one of at most `bridged` seconds, so long as a reading counts anyway: a broker that does not answer
        once in a while would never let a pool rest.
        """
        if self.gap_since is None:
            return self
        known = replace(self, gap_since=None, blind_since=None)
        if now - self.gap_since <= bridged:
            return known
        return replace(known, since=now, active_at=now, peaks=(), troughs=())

    def arrived(self, arrivals: Mapping[str, int], *, now: float) -> "History":
        """Jobs may come and be done between two readings: then only their count tells of them.

        A count that fell began anew (the broker was emptied): what came since is unknown, and no activity.
        """
        if arrivals == self.arrivals:
            return self
        came = any(count > self.arrivals.get(queue, count) for queue, count in arrivals.items())
        known = {**self.arrivals, **arrivals}
        return replace(self, arrivals=known, active_at=now if came else self.active_at)

    def with_wanted(self, wanted: int, *, now: float, down: float, up: float) -> "History":
        """Remember one more opinion and forget those that left their windows, for scaling down and up (seconds)."""
        peaks = [(at, value) for at, value in self.peaks if at > now - down and value > wanted]
        troughs = [(at, value) for at, value in self.troughs if at > now - up and value < wanted]
        return replace(self, peaks=(*peaks, (now, wanted)), troughs=(*troughs, (now, wanted)))

    def with_size(self, size: int, *, now: float) -> "History":
        """Remember what size the pool has. Changes within a second of each other count as one."""
        sizes = [*self.sizes] or [(now, size)]
        if sizes[-1][1] != size:
            recent = len(sizes) > 1 and now - sizes[-1][0] < 1.0
            sizes[-1:] = [(sizes[-1][0], size)] if recent else [sizes[-1], (now, size)]
        past = sum(1 for at, _ in sizes[1:] if at <= now - PACE_SECONDS)
        kept = tuple(sizes[past:])
        return self if kept == self.sizes else replace(self, sizes=kept)

    @property
    def largest(self) -> int:
        """The largest opinion within the window that the last `with_wanted` used."""
        return self.peaks[0][1]

    @property
    def smallest(self) -> int:
        """The smallest one."""
        return self.troughs[0][1]

    @property
    def minute_ago(self) -> int:
        """The size at the begin of the last minute, or the first that is known."""
        return self.sizes[0][1]

    @property
    def next_minute(self) -> float:
        """When that will be another one, unless the size changes before."""
        return self.sizes[min(1, len(self.sizes) - 1)][0] + PACE_SECONDS
