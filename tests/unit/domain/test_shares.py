"""Counts move towards a split between two versions, one ready worker at a time."""

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.rollout import Counts, Slot, hold_shares
from workerpool_operator.domain.rollout.splitter import split


def slot(name: str, replicas: int, ready: int | None = None) -> Slot:
    return Slot(name=name, replicas=replicas, ready=replicas if ready is None else ready)


def held(stable: Slot, canary: Slot, *others: Slot, total: int, weight: int = 10, surge: int = 1) -> Counts:
    shares = split(total, weight=weight)
    return hold_shares(stable=stable, canary=canary, others=others, split=shares, total=total, surge=surge)


def test_a_canary_starts_above_the_total() -> None:
    assert held(slot("v1", 10), slot("v2", 0), total=10) == Counts(raise_to={"v2": 1})


def test_the_stable_version_keeps_its_workers_until_the_canary_is_ready() -> None:
    assert held(slot("v1", 10), slot("v2", 1, ready=0), total=10) == Counts()
    assert held(slot("v1", 10), slot("v2", 1), total=10) == Counts(remove={"v1": 1})
    assert held(slot("v1", 9), slot("v2", 1), total=10) == Counts()


def test_more_weight_moves_one_worker_after_the_other() -> None:
    assert held(slot("v1", 9), slot("v2", 1), total=10, weight=50) == Counts(raise_to={"v2": 2})


def test_so_many_workers_are_started_at_a_time_as_the_surge_allows() -> None:
    assert held(slot("v1", 9), slot("v2", 1), total=10, weight=50, surge=3) == Counts(raise_to={"v2": 4})
    assert held(slot("v1", 9), slot("v2", 1), total=10, weight=50, surge=9) == Counts(raise_to={"v2": 5})
    assert held(slot("v1", 9), slot("v2", 4, ready=3), total=10, weight=50, surge=3) == Counts(remove={"v1": 2})
    both = held(slot("v1", 9), slot("v2", 3), total=10, weight=50, surge=3)
    assert both == Counts(raise_to={"v2": 4}, remove={"v1": 2})


def test_a_single_worker_has_one_canary_beside_it_however_large_the_surge_is() -> None:
    assert held(slot("v1", 1), slot("v2", 0), total=1, surge=5) == Counts(raise_to={"v2": 1})
    assert held(slot("v1", 1), slot("v2", 1), total=1, surge=5) == Counts()


def test_a_pool_that_wakes_at_one_runs_the_stable_version_and_beside_it_the_canary() -> None:
    assert held(slot("v1", 0), slot("v2", 0), total=1) == Counts(raise_to={"v1": 1})
    assert held(slot("v1", 1, ready=0), slot("v2", 0), total=1) == Counts(raise_to={"v2": 1})
    assert held(slot("v1", 1), slot("v2", 1), total=1) == Counts()
    assert held(slot("v1", 1), slot("v2", 1), total=0) == Counts(remove={"v1": 1, "v2": 1})


def test_a_single_worker_stays_beside_its_canary() -> None:
    assert held(slot("v1", 1), slot("v2", 0), total=1) == Counts(raise_to={"v2": 1})
    assert held(slot("v1", 1), slot("v2", 1), total=1) == Counts()


def test_a_pool_that_goes_to_sleep_takes_both_along() -> None:
    assert held(slot("v1", 9), slot("v2", 1), total=0) == Counts(remove={"v1": 9, "v2": 1})


def test_a_pool_that_wakes_starts_the_stable_version_first() -> None:
    assert held(slot("v1", 0), slot("v2", 0), total=1) == Counts(raise_to={"v1": 1})
    assert held(slot("v1", 0), slot("v2", 0), total=10) == Counts(raise_to={"v1": 9, "v2": 1})


def test_the_stable_version_makes_up_for_a_canary_that_does_not_start() -> None:
    assert held(slot("v1", 9), slot("v2", 1, ready=0), total=30) == Counts(raise_to={"v1": 29})


def test_fewer_workers_are_taken_from_both() -> None:
    assert held(slot("v1", 15), slot("v2", 15), total=20, weight=50) == Counts(remove={"v2": 5, "v1": 5})


def test_a_version_between_the_two_goes_first() -> None:
    assert held(slot("v1", 9), slot("v3", 1), slot("v2", 1), total=10) == Counts(remove={"v2": 1})
    assert held(slot("v1", 9), slot("v3", 0), slot("v2", 1), total=10) == Counts(raise_to={"v3": 1})


def test_a_stable_version_that_lost_workers_gets_them_back_from_the_others() -> None:
    assert held(slot("v1", 8), slot("v3", 1), slot("v2", 1), total=10) == Counts(raise_to={"v1": 9})
    assert held(slot("v1", 8, ready=7), slot("v3", 1), slot("v2", 1), total=10) == Counts()


def test_beside_a_single_worker_a_version_before_makes_room_for_the_stable_one() -> None:
    assert held(slot("v1", 0), slot("v2", 1), slot("v0", 1), total=1) == Counts(remove={"v0": 1})
    assert held(slot("v1", 0), slot("v2", 1), slot("v0", 0), total=1) == Counts(raise_to={"v1": 1})


@given(total=st.integers(0, 40), weight=st.integers(1, 99), surge=st.integers(1, 6), data=st.data())
def test_it_ends_at_the_split_and_never_has_fewer_ready_workers_than_asked_for(
    total: int, weight: int, surge: int, data: st.DataObject
) -> None:
    """Played to its end from anywhere, with workers that all become ready."""
    shares = split(total, weight=weight)
    sizes = {name: data.draw(st.integers(0, 40)) for name in ("v1", "v2", "v0")}
    for _ in range(200):
        before = sum(sizes.values())
        counts = held(
            slot("v1", sizes["v1"]),
            slot("v2", sizes["v2"]),
            slot("v0", sizes["v0"]),
            total=total,
            weight=weight,
            surge=surge,
        )
        if counts == Counts():
            break
        assert not counts.raise_to.keys() & counts.remove.keys()
        sizes |= counts.raise_to
        assert sum(sizes.values()) <= max(before, total + surge)
        for name, count in counts.remove.items():
            sizes[name] -= count
        assert sum(sizes.values()) >= min(before, total)
    assert sizes == {"v1": shares.stable, "v2": shares.canary, "v0": 0}
