"""How a budget is shared out, and that it is never exceeded while seats change hands."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.scaling.budget import Claim, PoolId, settle, shares

SEATS = st.integers(0, 40)


def claim(name: str, wanted: int, **more: Any) -> Claim:
    return Claim(pool=("ns", name), wanted=wanted, **more)


def shared(seats: int, *claims: Claim) -> list[int]:
    found = shares(claims, seats)
    return [found[one.pool] for one in claims]


@st.composite
def claims(draw: st.DrawFn, *, held: bool = False) -> list[Claim]:
    """Up to six pools; with `held`, some hold seats and have been given others."""
    few = st.integers(0, 12)
    return [
        Claim(
            pool=("ns", f"p{index}"),
            wanted=draw(st.integers(0, 30)),
            guaranteed=draw(few),
            priority=draw(st.integers(0, 2)),
            used=draw(few) if held else 0,
            granted=draw(few) if held else 0,
        )
        for index in range(draw(st.integers(0, 6)))
    ]


def committed(of: list[Claim]) -> int:
    return sum(max(one.used, one.granted) for one in of)


# Shares


def test_who_needs_little_gets_it_and_the_others_share_the_rest_alike() -> None:
    assert shared(20, claim("a", 3), claim("b", 30), claim("c", 7)) == [3, 10, 7]
    assert shared(20, claim("a", 3), claim("b", 30), claim("c", 8)) == [3, 9, 8]


def test_a_seat_that_cannot_be_divided_goes_to_the_first_by_name() -> None:
    assert shared(10, claim("c", 30), claim("a", 30), claim("b", 30)) == [3, 4, 3]


def test_a_higher_priority_comes_first() -> None:
    assert shared(10, claim("low", 10), claim("high", 8, priority=1)) == [2, 8]


def test_who_stands_higher_by_its_guarantee_gets_no_seat_that_cannot_be_divided() -> None:
    assert shared(8, claim("a", 9, guaranteed=5), claim("b", 9), claim("c", 9)) == [5, 2, 1]


def test_what_is_guaranteed_comes_before_any_priority() -> None:
    assert shared(10, claim("low", 10, guaranteed=3), claim("high", 30, priority=1)) == [3, 7]


def test_guarantees_that_are_too_many_are_served_by_priority() -> None:
    assert shared(4, claim("low", 9, guaranteed=3), claim("high", 9, priority=1, guaranteed=3)) == [1, 3]


def test_a_guarantee_that_nobody_wants_is_free_for_others() -> None:
    assert shared(10, claim("idle", 1, guaranteed=5), claim("busy", 30)) == [1, 9]


@given(claims(), SEATS)
def test_shares_are_within_the_budget_and_the_need_and_none_is_left_over(of: list[Claim], seats: int) -> None:
    found = shares(of, seats)
    assert sum(found.values()) == min(seats, sum(one.wanted for one in of))
    assert all(0 <= found[one.pool] <= one.wanted for one in of)


@given(claims(), SEATS)
def test_guarantees_that_fit_are_honoured(of: list[Claim], seats: int) -> None:
    floors = {one.pool: min(one.guaranteed, one.wanted) for one in of}
    if sum(floors.values()) <= seats:
        found = shares(of, seats)
        assert all(found[pool] >= floor for pool, floor in floors.items())


@given(claims(), SEATS)
def test_nobody_goes_without_while_an_equal_has_two_more_than_its_guarantee(of: list[Claim], seats: int) -> None:
    found = shares(of, seats)
    for poor in of:
        for rich in of:
            if rich.priority == poor.priority and found[poor.pool] < poor.wanted:
                assert found[rich.pool] <= max(found[poor.pool] + 1, min(rich.guaranteed, rich.wanted))


@given(claims(), SEATS)
def test_a_lower_priority_gets_no_more_than_its_guarantee_while_a_higher_one_wants(of: list[Claim], seats: int) -> None:
    found = shares(of, seats)
    for high in of:
        for low in of:
            if low.priority < high.priority and found[high.pool] < high.wanted:
                assert found[low.pool] <= min(low.guaranteed, low.wanted)


@given(claims(), SEATS)
def test_a_larger_budget_takes_nothing_from_anybody(of: list[Claim], seats: int) -> None:
    before, after = shares(of, seats), shares(of, seats + 1)
    assert all(after[pool] >= before[pool] for pool in before)


@given(claims(), SEATS, st.integers(1, 10))
def test_who_wants_more_gets_no_less_and_nobody_else_gets_more(of: list[Claim], seats: int, more: int) -> None:
    if of:
        greedy = [replace(of[0], wanted=of[0].wanted + more), *of[1:]]
        before, after = shares(of, seats), shares(greedy, seats)
        first = of[0].pool
        assert after[first] >= before[first]
        assert all(after[pool] <= before[pool] for pool in before if pool != first)


@given(claims(held=True), SEATS, st.randoms())
def test_the_order_in_which_pools_are_looked_at_does_not_matter(of: list[Claim], seats: int, random: Any) -> None:
    mixed = list(of)
    random.shuffle(mixed)
    assert shares(mixed, seats) == shares(of, seats)
    assert settle(mixed, seats) == settle(of, seats)


# Seats that change hands


def test_a_seat_is_given_on_only_when_it_is_free() -> None:
    rich, poor = claim("rich", 10, used=10, granted=10), claim("poor", 10)
    assert settle([rich, poor], 10) == {rich.pool: 5, poor.pool: 0}
    draining = replace(rich, used=8, granted=5)
    assert settle([draining, poor], 10) == {rich.pool: 5, poor.pool: 2}


def test_what_has_been_given_and_is_not_used_yet_counts() -> None:
    slow, late = claim("slow", 6, granted=6), claim("late", 6)
    assert settle([slow, late], 6) == {slow.pool: 3, late.pool: 3}, "nothing of it is in use"
    assert settle([replace(slow, used=6), late], 6) == {slow.pool: 3, late.pool: 0}


def test_a_pool_that_brings_workers_with_it_stops_all_growth_until_they_fit() -> None:
    guest, host = claim("guest", 9, used=9), claim("host", 5, used=1, granted=1)
    assert settle([guest, host], 8) == {guest.pool: 4, host.pool: 1}


@given(claims(held=True), SEATS)
def test_settling_never_commits_more_than_there_is_nor_more_than_before(of: list[Claim], seats: int) -> None:
    found = settle(of, seats)
    after = sum(max(one.used, found[one.pool]) for one in of)
    assert after <= max(seats, committed(of))
    assert all(found[one.pool] <= shares(of, seats)[one.pool] for one in of)


@given(claims(held=True), SEATS)
def test_settling_again_changes_nothing(of: list[Claim], seats: int) -> None:
    once = settle(of, seats)
    assert settle([replace(one, granted=once[one.pool]) for one in of], seats) == once


@given(claims(), SEATS, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 4)), max_size=30))
def test_the_budget_holds_through_any_history_of_needs_starts_and_drains(
    start: list[Claim], seats: int, history: list[tuple[int, int, int]]
) -> None:
    """Each step one pool's need changes, it starts some of what it may or ends some of what is too much; then seats are
    settled. Pods that drain count until they are gone."""
    of = {one.pool: one for one in start}
    for index, wanted, moved in history:
        if index < len(start):
            of[start[index].pool] = _moved(of[start[index].pool], wanted=wanted, moved=moved)
        found = settle(of.values(), seats)
        of = {pool: replace(one, granted=found[pool]) for pool, one in of.items()}
        assert sum(max(one.used, one.granted) for one in of.values()) <= seats


def _moved(one: Claim, *, wanted: int, moved: int) -> Claim:
    if one.used > one.granted:
        return replace(one, wanted=wanted, used=max(one.granted, one.used - moved))
    return replace(one, wanted=wanted, used=min(one.granted, one.used + moved))


@given(claims(), SEATS)
def test_everybody_comes_to_its_share_once_what_is_too_much_has_drained(of: list[Claim], seats: int) -> None:
    first = {**dict.fromkeys((one.pool for one in of), 0)}
    if of:
        first[of[0].pool] = seats  # all is held by one
    state = [replace(one, used=first[one.pool], granted=first[one.pool]) for one in of]
    for _ in range(2):
        found: dict[PoolId, int] = settle(state, seats)
        state = [replace(one, used=found[one.pool], granted=found[one.pool]) for one in state]
    assert {one.pool: one.used for one in state} == shares(of, seats)
