"""How fast the workers of a version that is tried may take jobs."""

import pytest

from workerpool_operator.domain.rollout.pace import HALF_LIFE_SECONDS, LEAST_RATE, SLACK, Taken, take_rates


def flow(*, rate: float, seconds: int, pods: int = 3, before: Taken | None = None) -> Taken:
    """Looks each 5 s at workers that begin so many jobs per second."""
    taken = before or Taken()
    for _ in range(seconds // 5):
        taken = taken.plus([(round(5 * rate), 5.0)] * pods, gap=5.0)
    return taken


@pytest.mark.parametrize("pods", [1, 9])
def test_a_canary_may_take_what_a_stable_worker_takes_and_a_quarter_more(pods: int) -> None:
    assert take_rates(flow(rate=4, seconds=60, pods=pods), canary="v2") == {"v2": 4 * SLACK}


def test_it_follows_a_load_that_comes_and_one_that_goes() -> None:
    risen = take_rates(flow(rate=20, seconds=60, before=flow(rate=2, seconds=600)), canary="v2")["v2"]
    assert 0.75 * 20 * SLACK < risen < 20 * SLACK
    fallen = take_rates(flow(rate=0, seconds=60, before=flow(rate=20, seconds=600)), canary="v2")["v2"]
    assert fallen == pytest.approx(20 * SLACK * 0.5 ** (60 / HALF_LIFE_SECONDS), rel=0.05)


def test_a_quiet_pool_keeps_no_job_from_its_canary() -> None:
    quiet = flow(rate=0, seconds=300, before=flow(rate=1, seconds=5))
    assert take_rates(quiet, canary="v2") == {"v2": LEAST_RATE}


def test_without_a_canary_or_where_nothing_was_taken_there_is_no_cap() -> None:
    assert take_rates(flow(rate=4, seconds=60), canary="") == {}
    assert take_rates(Taken(), canary="v2") == {}
    assert take_rates(flow(rate=0, seconds=60), canary="v2") == {}
    assert take_rates(Taken(jobs=3.0), canary="v2") == {}
