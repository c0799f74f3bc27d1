"""How fast jobs come and how long they take, on traces that are made up."""

import itertools
import math

import pytest

from workerpool_operator.domain.scaling import Meter, Progress, Service, metered, served
from workerpool_operator.domain.scaling.traffic import WINDOW_SECONDS


def counted(*readings: tuple[float, float], may_fall: bool = False) -> Meter:
    meter = None
    for at, total in readings:
        meter = metered(meter, total, at=at, may_fall=may_fall)
    assert meter is not None
    return meter


def rate(*readings: tuple[float, float], may_fall: bool = False) -> float | None:
    meter = counted(*readings, may_fall=may_fall)
    return meter.rate_at(meter.last[0])


def steady(rate: float, seconds: float, *, every: float = 0.25, start: float = 0.0) -> list[tuple[float, float]]:
    return [(start + step * every, rate * step * every) for step in range(int(seconds / every) + 1)]


@pytest.mark.parametrize("every", [0.25, 1.0, 5.0])
def test_a_steady_flow_is_measured_however_often_it_is_read(every: float) -> None:
    assert rate(*steady(10.0, 60, every=every)) == pytest.approx(10.0)


def test_a_rate_is_not_known_before_five_seconds() -> None:
    assert rate(*steady(10.0, 4.75)) is None
    assert rate(*steady(10.0, 5.0)) == pytest.approx(10.0)


@pytest.mark.parametrize("every", [0.25, 2.5, 10.0])
def test_a_burst_is_no_flow(every: float) -> None:
    """At no moment: else a pool would grow beyond what its jobs ask for, and stay so while they are long done."""
    for end in range(25, 80):
        trace = [(step * every, 300.0 if step * every >= 20 else 0.0) for step in range(int(end / every) + 1)]
        assert rate(*trace) in {None, 0.0}


def test_bursts_that_come_again_and_again_are_one() -> None:
    trace = [(at / 4, 100.0 * (at // 20)) for at in range(240)]  # 100 jobs each 5 s
    assert rate(*trace) == pytest.approx(20.0, rel=0.35)


def test_a_flow_that_ends_is_soon_none() -> None:
    assert rate(*steady(10.0, 60), *((60.0 + at, 600.0) for at in range(1, 18))) == pytest.approx(0.0, abs=1.0)


def test_a_ramp_is_followed_within_a_window() -> None:
    trace = [(at / 4, (at / 4) ** 2) for at in range(240)]  # 2t jobs/s at second t
    assert 2 * (60 - WINDOW_SECONDS) < (rate(*trace) or 0.0) < 2 * (60 - WINDOW_SECONDS / 2)


def test_a_count_that_begins_anew_is_measured_anew() -> None:
    assert rate(*steady(10.0, 30), (30.25, 3.0)) is None, "what came since is not known"
    assert rate(*steady(10.0, 30), *((30.25 + at, 3.0 + 10 * at) for at in range(7))) == pytest.approx(10.0)


def test_a_balance_may_fall_and_then_nothing_came() -> None:
    assert rate((0.0, 100.0), (10.0, 40.0), may_fall=True) == 0.0


def test_a_gap_within_the_window_costs_nothing_and_a_longer_one_the_past() -> None:
    before = steady(10.0, 20)
    assert rate(*before, (40.0, 400.0)) == pytest.approx(10.0)
    assert rate(*before, (20.0 + WINDOW_SECONDS + 1, 400.0)) is None


def test_an_older_reading_by_another_collector_changes_nothing() -> None:
    now = counted(*steady(10.0, 20))
    assert metered(now, 200.0, at=19.0) == now


def test_a_count_that_is_not_read_any_more_says_nothing() -> None:
    meter = counted(*steady(10.0, 20))
    assert meter.rate_at(20.0 + WINDOW_SECONDS) == pytest.approx(10.0)
    assert meter.rate_at(20.1 + WINDOW_SECONDS) is None


def test_memory_is_bounded() -> None:
    assert len(counted(*steady(10.0, 600, every=0.05)).marks) <= WINDOW_SECONDS / 2.5 + 2


def progress(begun: float, ended: float, seconds: float | None, *, boot_id: str = "a") -> Progress:
    return Progress(boot_id, begun, ended, seconds)


def worked(*words: tuple[float, Progress], before: Service | None = None) -> Service:
    service = before or Service()
    for (_, last), (at, now) in itertools.pairwise(words):
        service = served(service, last, now, at=at)
    return service


def test_the_service_time_is_the_mean_over_attempts_that_ended() -> None:
    assert worked((0.0, progress(0, 0, 0.0)), (10.0, progress(30, 20, 10.0))).mean == 0.5


def test_it_is_not_known_before_an_attempt_has_ended_nor_where_nobody_measures_it() -> None:
    assert worked((0.0, progress(0, 0, 0.0)), (10.0, progress(20, 0, 0.0))).mean is None
    assert worked((0.0, progress(0, 0, None)), (10.0, progress(20, 20, None))).mean is None
    assert worked((0.0, progress(0, 0, None)), (10.0, progress(20, 20, 5.0))).mean is None


def test_what_was_begun_is_added_up_over_all_workers() -> None:
    one = worked((0.0, progress(5, 5, 1.0)), (10.0, progress(25, 20, 2.0)))
    assert worked((0.0, progress(0, 0, 0.0)), (10.0, progress(7, 7, 1.0)), before=one).begun == 27


def test_a_process_that_was_restarted_adds_nothing_by_the_difference() -> None:
    service = worked((0.0, progress(0, 0, 0.0)), (10.0, progress(20, 20, 10.0)))
    last = progress(20, 20, 10.0)
    assert served(service, last, progress(30, 30, 90.0, boot_id="b"), at=20.0) == service
    assert served(service, last, progress(3, 3, 90.0), at=20.0) == service, "one that has no boot id"
    assert served(service, last, progress(21, 21, 1.0), at=20.0).mean == 0.5, "a clock that makes no sense"


def test_slower_jobs_are_believed_after_some_minutes_and_one_odd_job_is_not() -> None:
    service = worked(*((10.0 * step, progress(20 * step, 20 * step, 10.0 * step)) for step in range(60)))
    base = progress(0, 0, 0.0)
    odd = served(service, base, progress(1, 1, 60.0), at=600.0)
    assert odd.mean == pytest.approx(0.74, abs=0.02)
    slow = service
    for step in range(1, 31):
        slow = served(slow, base, progress(20, 20, 40.0), at=590.0 + 10 * step)
    assert slow.mean == pytest.approx(2.0, rel=0.1)


def test_the_mean_of_a_pool_at_rest_stays() -> None:
    service = worked((0.0, progress(0, 0, 0.0)), (10.0, progress(200, 200, 100.0)))
    later = served(service, progress(0, 0, 0.0), progress(1, 1, 1.5), at=100_000.0)
    assert later.mean == pytest.approx(1.0), "what was known weighs as much as one job"


def test_a_word_from_the_past_takes_no_weight() -> None:
    service = worked((0.0, progress(0, 0, 0.0)), (100.0, progress(20, 20, 10.0)))
    assert served(service, progress(0, 0, 0.0), progress(1, 1, 0.5), at=50.0).at == 100.0


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0, 10**400, 2.0**63])
def test_nonsense_is_told(number: float) -> None:
    assert not progress(number, 0, 0.0).sensible
    assert not progress(0, number, 0.0).sensible
    assert not progress(0, 0, number).sensible
    assert progress(1, 0, None).sensible
