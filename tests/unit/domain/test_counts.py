"""Counts move between versions one ready worker at a time."""

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.rollout import Slot, move_counts


def slot(name: str, replicas: int, ready: int | None = None) -> Slot:
    return Slot(name=name, replicas=replicas, ready=replicas if ready is None else ready)


def test_a_single_version_grows_at_once() -> None:
    assert move_counts(target=slot("v1", 2), others=[], total=7).raise_to == {"v1": 7}


def test_a_single_version_shrinks_by_the_surplus() -> None:
    assert move_counts(target=slot("v1", 7), others=[], total=2).remove == {"v1": 5}


def test_the_right_size_needs_nothing() -> None:
    counts = move_counts(target=slot("v1", 3), others=[slot("v0", 0)], total=3)
    assert (counts.raise_to, counts.remove) == ({}, {})


def test_a_new_version_starts_with_one_worker_above_the_total() -> None:
    counts = move_counts(target=slot("v2", 0), others=[slot("v1", 5)], total=5)
    assert (counts.raise_to, counts.remove) == ({"v2": 1}, {})


def test_the_old_version_waits_while_the_new_worker_is_not_ready() -> None:
    counts = move_counts(target=slot("v2", 1, ready=0), others=[slot("v1", 5)], total=5)
    assert (counts.raise_to, counts.remove) == ({}, {})


def test_a_ready_new_worker_frees_an_old_one() -> None:
    counts = move_counts(target=slot("v2", 1), others=[slot("v1", 5)], total=5)
    assert (counts.raise_to, counts.remove) == ({}, {"v1": 1})


def test_load_during_a_change_goes_to_the_version_that_has_shown_it_starts() -> None:
    assert move_counts(target=slot("v2", 1, ready=0), others=[slot("v1", 5)], total=9).raise_to == {"v1": 8}
    assert move_counts(target=slot("v2", 1), others=[slot("v1", 5)], total=9).raise_to == {"v2": 4}


def test_a_third_version_in_the_middle_takes_from_the_one_that_never_started() -> None:
    counts = move_counts(target=slot("v3", 1), others=[slot("v2", 1, ready=0), slot("v1", 5)], total=5)
    assert counts.remove == {"v2": 1, "v1": 1}


def test_at_zero_everything_goes() -> None:
    counts = move_counts(target=slot("v2", 1), others=[slot("v1", 2)], total=0)
    assert counts.remove == {"v1": 2, "v2": 1}


_slots = st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def test_a_larger_surge_starts_more_at_a_time_and_each_that_is_ready_frees_an_old_one() -> None:
    old = slot("v1", 5)
    assert move_counts(target=slot("v2", 0), others=[old], total=5, surge=3).raise_to == {"v2": 3}
    assert move_counts(target=slot("v2", 0), others=[old], total=5, surge=9).raise_to == {"v2": 5}
    assert move_counts(target=slot("v2", 3, ready=2), others=[old], total=5, surge=3).remove == {"v1": 2}


@given(target=_slots, others=st.lists(_slots, max_size=3), total=st.integers(0, 12), surge=st.integers(1, 5))
def test_never_more_than_the_total_and_the_surge_are_asked_for(
    target: tuple[int, int], others: list[tuple[int, int]], total: int, surge: int
) -> None:
    slots = [slot(f"old{i}", n, ready) for i, (n, ready) in enumerate(others)]
    own = slot("new", *target)
    before = own.replicas + sum(s.replicas for s in slots)
    counts = move_counts(target=own, others=slots, total=total, surge=surge)
    sizes = {s.name: s.replicas for s in [own, *slots]} | counts.raise_to
    assert sum(sizes.values()) <= max(before, total + surge)
    assert not set(counts.raise_to) & set(counts.remove)
    assert all(0 < count <= sizes[name] for name, count in counts.remove.items())


@given(others=st.lists(st.integers(0, 6), min_size=1, max_size=3), total=st.integers(0, 8), surge=st.integers(1, 4))
def test_a_change_of_version_always_ends_and_never_has_fewer_ready_than_the_total(
    others: list[int], total: int, surge: int
) -> None:
    """Play it to the end with workers that become ready and leave at once."""
    old = {f"old{i}": n for i, n in enumerate(others)}
    new = 0
    start = sum(old.values())
    for _ in range(100):
        slots = [slot(name, n) for name, n in old.items()]
        counts = move_counts(target=slot("new", new), others=slots, total=total, surge=surge)
        if not counts.raise_to and not counts.remove:
            break
        new = counts.raise_to.get("new", new) - counts.remove.get("new", 0)
        old = {name: counts.raise_to.get(name, n) - counts.remove.get(name, 0) for name, n in old.items()}
        assert new + sum(old.values()) >= min(start, total)
    assert (new, sum(old.values())) == (total, 0)
