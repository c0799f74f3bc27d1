"""How many count as lost over time: at once more, slowly fewer."""

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.placement.hold import (
    CALM_SECONDS,
    STEP_SECONDS,
    Held,
    Sight,
    hold,
    inherited,
    look_again,
)

LOST = Held(replicas=20, lost=20)
BACK = Sight(replicas=20, ready=20, lost=0)


def after(before: Held, sight: Sight, *, now: float = 100.0, may_return: bool = True) -> Held:
    return hold(before, sight, may_return=may_return, now=now)


def test_what_is_seen_to_be_lost_counts_at_once() -> None:
    assert after(Held(replicas=4, lost=0), Sight(replicas=4, ready=4, lost=3)).lost == 3


def test_it_counts_on_when_it_is_not_seen_any_more() -> None:
    """Their pods were evicted, and nobody has found out yet that there is no room for the next."""
    assert after(Held(replicas=4, lost=4), Sight(replicas=4, ready=0, lost=0)).lost == 4


def test_after_a_calm_minute_a_few_count_no_longer() -> None:
    calm = after(LOST, BACK, now=0.0)
    assert (calm.lost, calm.calm_since) == (20, 0.0)
    assert after(calm, BACK, now=CALM_SECONDS - 1).lost == 20
    first = after(calm, BACK, now=CALM_SECONDS)
    assert first.lost == 18
    assert after(first, BACK, now=CALM_SECONDS + STEP_SECONDS - 1).lost == 18
    assert after(first, BACK, now=CALM_SECONDS + STEP_SECONDS).lost == 16


def test_a_relapse_begins_the_minute_anew() -> None:
    calm = after(LOST, BACK, now=0.0)
    relapse = after(calm, Sight(replicas=20, ready=20, lost=20), now=50.0)
    assert relapse.calm_since is None
    assert after(relapse, BACK, now=70.0).calm_since == 70.0


def test_none_comes_back_that_may_not() -> None:
    calm = after(LOST, BACK, now=0.0, may_return=False)
    assert after(calm, BACK, now=1_000.0, may_return=False).lost == 20
    assert look_again(calm, may_return=False, now=0.0) is None


def test_what_is_not_wanted_any_more_is_taken_from_the_lost() -> None:
    assert after(Held(replicas=6, lost=2), Sight(replicas=5, ready=4, lost=1)).lost == 1
    assert after(Held(replicas=6, lost=2), Sight(replicas=5, ready=3, lost=2)).lost == 2


def test_only_those_that_are_ready_come_back() -> None:
    calm = Held(replicas=4, lost=4, calm_since=0.0)
    assert after(calm, Sight(replicas=4, ready=1, lost=0), now=100.0).lost == 3
    assert after(calm, Sight(replicas=4, ready=0, lost=0), now=100.0).calm_since is None


def test_the_next_look_comes_with_the_next_step() -> None:
    assert look_again(Held(replicas=4, lost=4), may_return=True, now=0.0) is None
    assert look_again(Held(replicas=4, lost=4, calm_since=0.0), may_return=True, now=10.0) == CALM_SECONDS - 10
    stepped = Held(replicas=4, lost=3, calm_since=0.0, stepped_at=100.0)
    assert look_again(stepped, may_return=True, now=101.0) == STEP_SECONDS - 1


def test_a_new_leader_takes_what_runs_too_many_elsewhere_for_lost() -> None:
    sight = Sight(replicas=4, ready=4, lost=0)
    assert inherited(sight, elsewhere=4, surplus=4).lost == 4
    assert inherited(sight, elsewhere=4, surplus=1).lost == 1
    assert inherited(sight, elsewhere=0, surplus=3).lost == 0
    assert inherited(sight, elsewhere=9, surplus=-1).lost == 0


_sights = st.integers(0, 12).flatmap(
    lambda n: st.builds(Sight, replicas=st.just(n), ready=st.integers(0, n), lost=st.integers(0, n))
)


@given(sights=st.lists(st.tuples(_sights, st.floats(0, 100)), max_size=20))
def test_no_fewer_count_as_lost_than_are_seen_and_no_more_than_there_are(sights: list[tuple[Sight, float]]) -> None:
    held, now = Held(replicas=0, lost=0), 0.0
    for sight, later in sights:
        now += later
        held = after(held, sight, now=now)
        assert sight.lost <= held.lost <= sight.replicas
