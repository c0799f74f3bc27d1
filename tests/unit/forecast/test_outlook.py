"""Forecasts from seasons that were alike; and of anything else none, with the reason."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.forecast.courses import DAY, MONDAY, changed, days, usual
from workerpool_operator.forecast import Course, Outlook, merged, predict

LEAD = 2


def ask(course: Course, *, at: int | None = None, lead: int = LEAD) -> Outlook:
    return predict(course, at=course.end if at is None else at, lead=lead)


def test_days_that_are_alike_are_forecast_exactly() -> None:
    """The most of the bins within the horizon, with no error."""
    outlook = ask(days(2.25))
    at = MONDAY + int(2.25 * DAY)
    assert outlook.rate == pytest.approx(max(usual(at + ahead) for ahead in range(LEAD + 1)))
    assert outlook.error == pytest.approx(0.0)
    assert not outlook.why


def test_a_forecast_sees_the_morning_before_it_comes() -> None:
    """While jobs become more, more is expected than comes at the moment; while they become fewer, no less."""
    morning, evening = days(2.3), days(2.7)
    assert (ask(morning).rate or 0) > 1.02 * usual(morning.end)
    assert (ask(evening).rate or 0) == pytest.approx(usual(evening.end), rel=0.01)


def test_a_busier_day_raises_what_is_expected_of_it() -> None:
    """By as much as its last hour was above the seasons before, and by no more than twice."""
    plain = days(2.25)
    begin = int(2.25 * DAY) - 24
    busier = Course(
        width=plain.width,
        first=plain.first,
        rates=(*plain.rates[:begin], *(1.3 * (rate or 0) for rate in plain.rates[begin:])),
    )
    assert (ask(busier).rate or 0) == pytest.approx(1.3 * (ask(plain).rate or 0))


def test_a_holiday_expects_nothing() -> None:
    """Nothing came in the last hour: a season that says otherwise is not believed."""
    course = changed(days(3.4), int(3.4 * DAY) - 40, int(3.4 * DAY), 0.0)
    assert ask(course).rate == 0.0


def test_a_noisy_course_says_how_far_its_forecasts_are_off() -> None:
    """The error is a share of what came: 20 % of noise around the same days give about that."""
    chance = random.Random(7)
    plain = days(4)
    noisy = Course(
        width=plain.width,
        first=plain.first,
        rates=tuple((rate or 0) * chance.uniform(0.7, 1.3) for rate in plain.rates),
    )
    outlook = ask(noisy)
    assert outlook.rate is not None
    assert 0.1 < (outlook.error or 0) < 0.3


# Bad input: no forecast, and why


def test_nothing_counted_is_no_forecast() -> None:
    """A pool that was made a moment ago."""
    assert ask(Course(width=300.0)) == Outlook(why="no jobs were counted yet")


def test_a_first_day_is_no_forecast() -> None:
    """There is no season yet that could say anything."""
    outlook = ask(days(0.5))
    assert (outlook.rate, outlook.why) == (None, "jobs are counted for 12 h, and a season takes 24 h")


def test_a_second_day_is_no_forecast_before_its_first_half_was_compared() -> None:
    """Nobody knows yet how good forecasts of these days are."""
    assert (ask(days(1.4)).rate, "half of the last season" in ask(days(1.4)).why) == (None, True)
    assert ask(days(1.6)).rate is not None


def test_holes_in_the_last_season_are_no_forecast_where_they_are_too_many() -> None:
    """A few are left out; half a day of them is too much to know how good forecasts are."""
    course, end = days(3), 3 * DAY
    few = changed(course, end - DAY + 20, end - DAY + 40, None)
    many = changed(course, end - DAY + 20, end - DAY + 200, None)
    assert ask(few).rate is not None
    assert (ask(many).rate, "half of the last season" in ask(many).why) == (None, True)


def test_a_hole_where_every_season_before_is_one_is_no_forecast() -> None:
    """Of this time of the day nothing is known."""
    course = days(2.25)
    holed = changed(course, int(0.25 * DAY), int(0.25 * DAY) + 2, None)
    holed = changed(holed, int(1.25 * DAY), int(1.25 * DAY) + 2, None)
    assert ask(holed) == Outlook(why="no season before was observed at this time of it")


def test_a_last_hour_that_was_not_observed_is_no_forecast() -> None:
    """After an outage of an hour nobody knows how today compares."""
    end = 3 * DAY
    outlook = ask(changed(days(3), end - 12, end, None))
    assert (outlook.rate, outlook.why) == (None, "too little is known of the last 1 h")


def test_a_week_without_data_begins_anew() -> None:
    """What was before it is too old; the first day after it is a first day."""
    after = merged(days(3), days(0.5, first=MONDAY + 10 * DAY))
    assert (ask(after).rate, ask(after).why) == (None, "jobs are counted for 12 h, and a season takes 24 h")
    silent = predict(days(3), at=MONDAY + 10 * DAY, lead=LEAD)
    assert silent.rate is None


def test_clocks_put_back_silence_the_forecast_where_the_day_turns() -> None:
    """Morning and evening come an hour later than before: there it is off, says so, and is back soon after."""
    before = days(3)
    shifted = Course(
        width=before.width,
        first=before.end,
        rates=tuple(_morning(number - 12) for number in range(before.end, before.end + DAY)),
    )
    steep = Course(
        width=before.width,
        first=before.first,
        rates=tuple(_morning(number) for number in range(before.first, before.end)),
    )
    course = merged(steep, shifted)
    day = [predict(course, at=number, lead=LEAD) for number in range(before.end, before.end + DAY)]
    silent = [place for place, outlook in enumerate(day) if outlook.rate is None]
    assert silent
    assert all("last 1 h were off by" in day[place].why for place in silent)
    turns = [*range(96, 130), *range(216, 250)]
    assert set(silent) <= set(turns), "within three hours of 8:00 and 18:00, when the seasons say that it turns"
    assert all(day[place].rate is not None for place in range(130, 216))


def _morning(number: int) -> float:
    """Nothing to do before 8:00, and then all at once."""
    return 10.0 if 96 <= number % DAY < 216 else 0.5


def test_a_course_without_any_season_is_no_forecast() -> None:
    """What came yesterday says nothing of today: forecasts were off, and it is said by how much."""
    chance = random.Random(3)
    wild = Course(width=300.0, first=MONDAY, rates=tuple(chance.choice((0.0, 0.0, 0.0, 9.0)) for _ in range(3 * DAY)))
    outlook = ask(wild)
    assert outlook.rate is None
    assert (outlook.error or 0) > 0.5
    assert "forecasts of the last season were off by" in outlook.why


def test_days_on_which_nothing_came_expect_nothing() -> None:
    """And that is a forecast, without any error; a job that was expected and did not come is one."""
    assert ask(Course(width=300.0, first=MONDAY, rates=(0.0,) * 3 * DAY)) == Outlook(rate=0.0, error=0.0)
    gone = changed(days(3), 2 * DAY, 3 * DAY, 0.0)
    assert ask(gone).rate is None


def test_the_same_course_gives_the_same_forecast_each_time() -> None:
    """Nothing is remembered between two questions."""
    assert ask(days(2.6)) == ask(days(2.6))


@given(st.lists(st.none() | st.floats(0, 1e9), max_size=40), st.integers(0, 1200), st.integers(1, 72))
def test_whatever_was_counted_a_forecast_is_a_rate_or_a_reason(odd: list[float | None], place: int, lead: int) -> None:
    """Never neither and never nonsense, whatever lies in the course, wherever."""
    plain = days(4)
    rates = list(plain.rates)
    rates[place : place + len(odd)] = odd
    outlook = ask(Course(width=300.0, first=MONDAY, rates=tuple(rates)), lead=lead)
    assert (outlook.rate is None) == bool(outlook.why)
    assert outlook.rate is None or 0 <= outlook.rate <= 2e9
    assert outlook.error is None or outlook.error >= 0


def test_a_forecast_follows_a_week_as_well() -> None:
    """Weekends differ from working days: with a season of a week both are expected as they are."""
    week = 604_800 / DAY
    rates = tuple(1.0 if number % DAY >= 206 else 10.0 for number in range(3 * DAY))
    course = Course(width=week, first=0, rates=rates)
    friday, saturday = (predict(course, at=2 * DAY + place, lead=1).rate for place in (190, 210))
    assert friday == pytest.approx(10.0)
    assert saturday == pytest.approx(1.0)
