"""How one revision's workers lie over places, one step from any counts."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.placement import Layout, distribute
from workerpool_operator.domain.rollout.counts import Counts, Slot


def slot(name: str, replicas: int, ready: int | None = None) -> Slot:
    return Slot(name=name, replicas=replicas, ready=replicas if ready is None else ready)


def layout(home: int, away: int | None = 0, *, lost: int = 0, other: int = 0) -> Layout:
    return Layout(
        home=slot("home", home),
        away=None if away is None else slot("away", away),
        others=(slot("other", other),) if other else (),
        lost=lost,
    )


def step(of: Layout, *, total: int, may_surge: bool = True) -> tuple[dict[str, int], dict[str, int]]:
    counts = distribute(of, total=total, may_surge=may_surge)
    return counts.raise_to, counts.remove


def test_a_pool_whose_workers_are_home_grows_and_shrinks_there() -> None:
    assert step(layout(2), total=5) == ({"home": 5}, {})
    assert step(layout(5), total=2) == ({}, {"home": 3})
    assert step(layout(2, None), total=2) == ({}, {})


def test_the_lost_are_made_up_for_away() -> None:
    assert step(layout(4, lost=3), total=4) == ({"away": 3}, {})


def test_while_some_are_lost_the_pool_grows_and_shrinks_away() -> None:
    assert step(layout(4, 4, lost=4), total=6) == ({"away": 6}, {})
    assert step(layout(4, 4, lost=4), total=3) == ({}, {"away": 1})


def test_what_is_too_many_beyond_what_is_away_goes_from_home() -> None:
    assert step(layout(6, 1, lost=2), total=3) == ({}, {"away": 1, "home": 1})


def test_one_that_counts_again_frees_one_that_is_away() -> None:
    assert step(layout(4, 4, lost=3), total=4) == ({}, {"away": 1})


def test_at_zero_all_go_the_lost_as_well() -> None:
    assert step(layout(4, 2, lost=4), total=0) == ({}, {"away": 2, "home": 4})


def test_workers_of_another_place_come_home_one_by_one() -> None:
    assert step(layout(0, other=3), total=3) == ({"home": 1}, {})
    assert step(layout(1, other=3), total=3) == ({}, {"other": 1})
    assert step(layout(0, 3), total=3) == ({"home": 1}, {})


def test_none_comes_home_while_a_version_changes() -> None:
    assert step(layout(0, other=3), total=3, may_surge=False) == ({}, {})
    assert step(layout(0, other=2), total=3, may_surge=False) == ({"other": 3}, {})


def test_what_versions_see_is_all_places_without_the_lost() -> None:
    assert layout(4, 2, lost=3, other=1).all == Slot(name="home", replicas=4, ready=4)


_layouts = st.builds(
    lambda home, away, other, lost: layout(home, away, other=other, lost=min(lost, home)),
    *(st.integers(0, 8) for _ in range(4)),
)


def done(of: Layout, counts: Counts) -> Layout:
    """As if all that was asked for had happened."""

    def after(one: Slot) -> Slot:
        size = counts.raise_to.get(one.name, one.replicas - counts.remove.get(one.name, 0))
        return slot(one.name, size)

    home = after(of.home)
    return replace(
        of,
        home=home,
        away=after(of.away) if of.away else None,
        others=tuple(map(after, of.others)),
        lost=min(of.lost, home.replicas),
    )


@given(of=_layouts, total=st.integers(0, 8))
def test_the_sum_over_places_is_never_below_the_total_and_grows_by_no_more_than_a_surge(of: Layout, total: int) -> None:
    before, after = of.all.replicas, done(of, distribute(of, total=total, may_surge=True)).all.replicas
    assert after >= min(before, total)
    assert after <= max(before, total + 1)


@given(of=_layouts, total=st.integers(0, 8))
def test_step_by_step_the_sum_becomes_the_total(of: Layout, total: int) -> None:
    for _ in range(60):
        of = done(of, distribute(of, total=total, may_surge=True))
    assert of.all.replicas == total
    assert of.lost or not any(one.replicas for one in of.elsewhere)
