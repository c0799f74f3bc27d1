"""A total is split so that both versions have a worker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.splitter import Split, job_share, pod_share, split


@given(total=st.integers(2, 100_000), weight=st.integers(1, 99))
def test_each_weight_leaves_both_versions_a_worker(total: int, weight: int) -> None:
    found = split(total, weight=weight)
    assert found.stable >= 1
    assert found.canary >= 1
    assert found.stable + found.canary == total
    exact = total * weight / 100
    assert abs(found.canary - exact) <= 0.5 or found.canary in {1, total - 1}


@pytest.mark.parametrize(("total", "weight"), [(2, 75), (5, 90), (10, 95)])
def test_no_weight_is_rounded_to_all_or_none(total: int, weight: int) -> None:
    assert 1 <= split(total, weight=weight).canary < total


@given(total=st.integers(2, 10_000), weight=st.integers(1, 98))
def test_more_weight_never_means_fewer_workers(total: int, weight: int) -> None:
    assert split(total, weight=weight + 1).canary >= split(total, weight=weight).canary


def test_a_pool_of_one_has_its_canary_on_top() -> None:
    assert split(1, weight=10) == Split(stable=1, canary=1)


def test_a_pool_that_sleeps_has_neither() -> None:
    assert split(0, weight=50) == Split(stable=0, canary=0)


def test_the_share_of_the_workers_is_not_that_of_the_jobs() -> None:
    assert pod_share(Split(stable=9, canary=1)) == pytest.approx(0.1)
    assert job_share(Interval(84, 84, 16, 0)) == pytest.approx(0.84)


def test_of_nothing_there_is_no_share() -> None:
    assert pod_share(Split(stable=0, canary=0)) == 0
    assert job_share(Interval()) is None
