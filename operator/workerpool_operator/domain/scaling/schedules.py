"""Floors by the clock: which of them hold now, and when that changes.

A window begins at each time that its cron expression names, on the clocks of its time zone, and lasts so many seconds.
Where clocks are put forward, a time that is left out counts as the one after; where they are put back, a time that
comes twice counts once (as in Debian's cron, whose rules CronSim keeps).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A floor that holds for `seconds` from each time that `cron` names."""

    cron: str
    time_zone: str
    seconds: int
    min_replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """What the clock says."""

    floor: int = 0
    changes_in: float | None = None
    """Seconds until a window begins or may end; None: never."""
    trouble: str = ""
    """Why a schedule cannot be read: then its floor is not known."""


def hours(schedules: Sequence[Schedule], *, wall: datetime) -> Hours:
    """All schedules together: the largest floor that holds at this moment."""
    found = [_hours(one, wall=wall) for one in schedules]
    changes = [one.changes_in for one in found if one.changes_in is not None]
    return Hours(
        floor=max((one.floor for one in found), default=0),
        changes_in=min(changes, default=None),
        trouble=next((one.trouble for one in found if one.trouble), ""),
    )


def _hours(schedule: Schedule, *, wall: datetime) -> Hours:
    try:
        zone = ZoneInfo(schedule.time_zone)
    except (LookupError, ValueError, OSError):
        return Hours(trouble=f"there is no time zone {schedule.time_zone!r}: write one such as Europe/Berlin")
    length = timedelta(seconds=schedule.seconds)
    try:
        began = _first(schedule.cron, zone, after=wall - length)  # what began later than that still lasts
        coming = _first(schedule.cron, zone, after=wall)
    except (CronSimError, OverflowError) as error:
        return Hours(trouble=f"{schedule.cron!r} is no time that ever comes: {error}")
    holds = began is not None and began <= wall
    edges = [coming] if coming is not None else []
    if began is not None and holds:
        edges.append(began.astimezone(UTC) + length)
    return Hours(
        floor=schedule.min_replicas if holds else 0,
        changes_in=min(((edge - wall).total_seconds() for edge in edges), default=None),
    )


def _first(cron: str, zone: ZoneInfo, *, after: datetime) -> datetime | None:
    """The first time that comes after this moment.

    Where an hour comes twice, the second one is looked at from the begin of the first: CronSim knows only by what it
    has passed that a time has come already.
    """
    start = after.astimezone(zone)
    if start.fold:
        start = start.replace(minute=0, fold=0)
    return next((time for time in CronSim(cron, start) if time > after), None)
