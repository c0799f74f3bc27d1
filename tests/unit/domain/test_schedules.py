"""Floors by the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from workerpool_operator.domain.scaling.schedules import Hours, Schedule, hours

OFFICE = Schedule(cron="0 7 * * 1-5", time_zone="Europe/Berlin", seconds=36_000, min_replicas=5)


def at(text: str, *schedules: Schedule) -> Hours:
    return hours(schedules or (OFFICE,), wall=datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("utc", "floor", "changes_in"),
    [
        ("2026-01-14T05:59:30", 0, 30.0),
        ("2026-01-14T06:00:00", 5, 36_000.0),
        ("2026-01-14T06:00:30", 5, 35_970.0),
        ("2026-01-14T15:59:59", 5, 1.0),
        ("2026-01-14T16:00:00", 0, 14 * 3600.0),
        ("2026-01-17T08:00:00", 0, 46 * 3600.0),
        ("2026-07-15T05:00:00", 5, 36_000.0),
    ],
)
def test_a_floor_holds_by_the_clocks_of_its_zone(utc: str, floor: int, changes_in: float) -> None:
    """07:00 to 17:00 in Berlin, from Monday to Friday: 06:00 UTC in winter, 05:00 in summer."""
    assert at(utc) == Hours(floor=floor, changes_in=changes_in)


def test_a_window_that_begins_again_before_it_ends_goes_on() -> None:
    always = Schedule(cron="* * * * *", time_zone="UTC", seconds=90, min_replicas=2)
    assert [at(f"2026-01-14T10:00:{second:02}", always).floor for second in (0, 29, 30, 59)] == [2, 2, 2, 2]


def test_the_largest_floor_holds_and_the_nearest_change_counts() -> None:
    night = Schedule(cron="30 6 * * *", time_zone="UTC", seconds=600, min_replicas=9)
    assert at("2026-01-14T06:35:00", OFFICE, night) == Hours(floor=9, changes_in=300.0)
    assert at("2026-01-14T06:45:00", OFFICE, night).floor == 5


def test_no_schedule_is_no_floor() -> None:
    assert hours((), wall=datetime(2026, 1, 1, tzinfo=UTC)) == Hours()


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 3.0), ("2026-10-25", 3.0)], ids=["put forward", "put back"])
def test_a_window_lasts_as_long_on_the_days_on_which_clocks_change(day: str, length: float) -> None:
    """It begins at 02:30, which comes not at all on the one and twice on the other."""
    one = Schedule(cron="30 2 * * *", time_zone="Europe/Berlin", seconds=int(length * 3600), min_replicas=1)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=3)
    floors = [hours((one,), wall=start + timedelta(minutes=minute)).floor for minute in range(12 * 60)]
    assert sum(floors) == length * 60
    assert "0,1" not in ",".join(map(str, floors)).partition("1")[2], "in one piece"


@pytest.mark.parametrize(
    ("cron", "zone", "words"),
    [
        ("0 0 30 2 *", "UTC", "no time that ever comes"),
        ("61 * * * *", "UTC", "no time that ever comes"),
        ("0 7 * *", "UTC", "no time that ever comes"),
        ("0 7 * * *", "Europe/Berlim", "there is no time zone"),
        ("0 7 * * *", "../../etc/passwd", "there is no time zone"),
        ("0 7 * * *", "Europe", "there is no time zone"),
        ("0 7 * * *", "x" * 300, "there is no time zone"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_others_hold(cron: str, zone: str, words: str) -> None:
    bad = Schedule(cron=cron, time_zone=zone, seconds=60, min_replicas=9)
    found = at("2026-01-14T08:00:00", bad, OFFICE)
    assert words in found.trouble
    assert found.floor == 5


def test_a_rare_time_is_known_years_ahead() -> None:
    leap = Schedule(cron="0 0 29 2 *", time_zone="UTC", seconds=60, min_replicas=1)
    assert hours((leap,), wall=datetime(2026, 1, 1, tzinfo=UTC)).changes_in == pytest.approx(789 * 86_400.0)


@pytest.mark.parametrize("year", [1, 9999])
def test_a_clock_that_shows_nonsense_is_said(year: int) -> None:
    month, day = (1, 1) if year == 1 else (12, 31)
    found = hours((OFFICE,), wall=datetime(year, month, day, tzinfo=UTC))
    assert found.floor == 0
