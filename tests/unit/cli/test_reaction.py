"""How fast a pool answers, read from the history of its sizes."""

from typing import Any

import pytest

from workerpool_operator.cli.load.reaction import PoolHistory, Series


def series(*steps: tuple[float, int]) -> Series:
    result = Series()
    for at, value in steps:
        result.put(at, value)
    return result


def pod(node: str, *, ready: bool = True, stopping: bool = False) -> dict[str, Any]:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if stopping else {}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"conditions": conditions}}


def test_only_changes_are_kept() -> None:
    assert len(series((1, 0), (2, 0), (3, 4), (4, 4)).steps) == 2


def test_a_value_holds_until_the_next_one() -> None:
    history = series((1, 3), (5, 7))
    assert [history.value_at(at) for at in (0.5, 1, 4.9, 5, 9)] == [0, 3, 3, 7, 7]
    assert (history.now, history.largest) == (7, 7)


def test_a_value_that_stands_already_is_reached_at_once() -> None:
    assert series((1, 3)).first_at_least(2, since=4) == 4
    assert series((1, 3)).first_at_least(4, since=4) is None


def test_a_decision_is_the_first_larger_size_after_a_burst() -> None:
    history = PoolHistory(desired=series((0, 0), (10.4, 2), (10.9, 5), (20.7, 6)))
    assert history.decisions([10, 20]) == pytest.approx([0.4, 0.7])


def test_a_burst_that_the_pool_could_take_has_no_decision() -> None:
    """Its size grew only after the next burst, which is that one's answer."""
    history = PoolHistory(desired=series((0, 4), (20.5, 5)))
    assert history.decisions([10, 20]) == pytest.approx([0.5])


def test_ready_workers_are_those_that_are_not_stopping() -> None:
    history = PoolHistory()
    history.see_pods([pod("a"), pod("b"), pod("b", ready=False), pod("a", stopping=True)], at=3.0)
    assert history.ready.now == 2
    assert history.nodes == {"a": 1, "b": 1}
    history.see_pods([pod("a")], at=4.0)
    assert (history.ready.now, history.ready.largest, history.most_nodes) == (1, 2, 2)


def test_times_until_ready_go_as_far_as_the_pool_went() -> None:
    history = PoolHistory(ready=series((0, 1), (12, 3), (14, 2), (15, 4)))
    assert history.until_ready(since=10.0) == pytest.approx((0.0, 2.0, 2.0, 5.0))
    assert PoolHistory().until_ready(since=10.0) == ()


@pytest.mark.parametrize("stored", [None, {}, {"status": {}}, {"status": {"scaling": {}}}])
def test_a_pool_without_a_status_wants_nothing_yet(stored: dict[str, Any] | None) -> None:
    history = PoolHistory()
    history.see_pool(stored, at=1.0)
    assert history.desired.now == 0
