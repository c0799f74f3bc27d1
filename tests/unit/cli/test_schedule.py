"""When the jobs of a load are due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.cli.load import Schedule, burst, bursts, moments, peak, ramp, steady

schedules = st.one_of(
    st.builds(steady, rate=st.floats(0.01, 1000), jobs=st.integers(1, 500)),
    st.builds(ramp, rate=st.floats(1, 100), seconds=st.floats(2, 10)),
    st.builds(peak, rate=st.floats(1, 100), seconds=st.floats(3, 10)),
    st.builds(burst, jobs=st.integers(1, 500)),
    st.builds(bursts, size=st.integers(1, 50), every=st.floats(0.1, 60), jobs=st.integers(1, 500)),
    st.lists(st.integers(1, 50), min_size=1).map(lambda sizes: moments(*((3.0 * n, s) for n, s in enumerate(sizes)))),
)


@given(schedules)
def test_due_times_start_at_zero_and_never_fall(schedule: Schedule) -> None:
    times = [schedule.due(number) for number in range(schedule.jobs)]
    assert times[0] == 0
    assert times == sorted(times)
    assert schedule.seconds == times[-1]


@given(schedules)
def test_each_burst_starts_with_its_first_job(schedule: Schedule) -> None:
    firsts: dict[int, float] = {}
    for number in range(schedule.jobs):
        firsts.setdefault(schedule.burst_of(number), schedule.due(number))
    assert list(schedule.burst_starts()) == [firsts[burst] for burst in sorted(firsts)]


def test_steady_sends_at_its_rate() -> None:
    assert [steady(rate=4, jobs=5).due(number) for number in range(5)] == [0, 0.25, 0.5, 0.75, 1]


def test_a_ramp_sends_half_of_what_its_last_rate_would() -> None:
    schedule = ramp(rate=10, seconds=8)
    assert schedule.jobs == 40
    # Rate at t is 10 * t / 8: a quarter of the jobs is due in the first half of the time.
    assert sum(schedule.due(number) < 4 for number in range(40)) == 10


def test_bursts_come_at_once_and_again() -> None:
    schedule = bursts(size=3, every=5, jobs=7)
    assert [schedule.due(number) for number in range(7)] == [0, 0, 0, 5, 5, 5, 10]
    assert list(schedule.burst_starts()) == [0, 5, 10]


def test_a_peak_sends_twice_as_much_in_its_middle_third() -> None:
    schedule = peak(rate=10, seconds=9)
    assert schedule.jobs == 120
    assert schedule.phases == ("before", "peak", "after")
    assert list(schedule.burst_starts()) == [0, 3, 6]
    assert [sum(schedule.burst_of(number) == phase for number in range(120)) for phase in range(3)] == [30, 60, 30]
    assert schedule.due(31) - schedule.due(30) == pytest.approx(0.05)
    assert schedule.due(91) - schedule.due(90) == pytest.approx(0.1)


def test_each_of_several_bursts_is_a_phase() -> None:
    assert bursts(size=3, every=5, jobs=7).phases == ("burst 1", "burst 2", "burst 3")
    assert steady(rate=4, jobs=5).phases == ()


def test_moments_have_sizes_of_their_own() -> None:
    schedule = moments((0, 1), (2.5, 3), (4, 2))
    assert [schedule.due(number) for number in range(schedule.jobs)] == [0, 2.5, 2.5, 2.5, 4, 4]
    assert list(schedule.burst_starts()) == [0, 2.5, 4]


@pytest.mark.parametrize("jobs", [0, 1_000_001])
def test_a_load_is_neither_empty_nor_without_bounds(jobs: int) -> None:
    with pytest.raises(ValueError, match="1 to 1,000,000 jobs"):
        burst(jobs=jobs)
