"""How jobs came: bins by the wall's clock, put together from whoever counted, and bounded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.forecast import SEASON_BINS, SEASONS, Course, lead_bins, merged, width_of

RATES = st.lists(st.none() | st.floats(0, 1e6), max_size=40)
COURSES = st.builds(
    lambda first, rates: Course(width=300.0, first=first, rates=tuple(rates)), st.integers(0, 60), RATES
)


def course(*rates: float | None, first: int = 10, width: float = 300.0) -> Course:
    return Course(width=width, first=first, rates=rates)


def test_two_collectors_know_together_what_each_of_them_knows() -> None:
    """A hole of the one is filled by the other, and of two rates the larger counts."""
    both = merged(course(1.0, None, 3.0), course(5.0, 2.0, None, first=11))
    assert both == course(1.0, 5.0, 3.0, None)


def test_a_gap_between_two_courses_is_a_hole() -> None:
    """Nobody counted meanwhile, which is not the same as that nothing came."""
    assert course(1.0).with_bin(13, 2.0).rates == (1.0, None, None, 2.0)


def test_a_course_of_another_season_is_left_out() -> None:
    """Its bins have another length, so their numbers mean other times."""
    assert merged(course(1.0), course(9.0, width=60.0)) == course(1.0)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_what_is_no_rate_is_a_hole(nonsense: float) -> None:
    """A number that cannot be a rate of jobs does not reach a forecast."""
    assert merged(course(1.0), course(nonsense, first=11)).rates == (1.0, None)
    assert merged(course(nonsense), course()).rates == (None,)


def test_no_more_is_kept_than_a_forecast_looks_at() -> None:
    """However long a pool lives, and however far its clock jumps."""
    long = course(*[1.0] * (SEASONS * SEASON_BINS + 50))
    assert len(merged(long, course()).rates) <= len(long.rates)
    kept = long.with_bin(long.end, 2.0)
    assert (len(kept.rates), kept.rates[-1]) == (SEASONS * SEASON_BINS, 2.0)
    assert len(course(1.0).with_bin(10**9, 2.0).rates) == SEASONS * SEASON_BINS


def test_what_is_not_covered_is_not_known() -> None:
    """Before its first bin and after its last a course says nothing."""
    assert [course(1.0, 2.0).rate(number) for number in (9, 10, 11, 12)] == [None, 1.0, 2.0, None]


def test_bins_fit_the_season_and_the_horizon() -> None:
    """A day has bins of five minutes, and a horizon of ten minutes covers two beyond the present one."""
    assert (width_of(86_400), lead_bins(600, width=300.0), lead_bins(1, width=300.0)) == (300.0, 2, 1)


@given(COURSES, COURSES)
def test_putting_together_forgets_nothing_and_depends_on_no_order(one: Course, other: Course) -> None:
    """Whoever is heard first, and however often: the same comes out, and every bin that one knew is known."""
    both = merged(one, other)
    assert merged(both, other) == both
    for number in range(100):
        rates = [rate for rate in (one.rate(number), other.rate(number)) if rate is not None]
        assert both.rate(number) == max(rates, default=None)
        assert merged(other, one).rate(number) == both.rate(number)
