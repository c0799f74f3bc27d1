"""A collector's word that nothing is new: never worth more than it says, however late it comes."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.protocol import Holds
from workerpool_operator.serve.vouching import Told, Vouch

SECONDS = st.floats(min_value=0.0, max_value=60.0)
WORDS = st.lists(st.tuples(SECONDS, SECONDS, SECONDS), min_size=1, max_size=20)
"""Of each: seconds since the one before, the age that it tells, and how long its way took."""
SLACK = 1e-6


@given(words=WORDS, ahead=st.floats(min_value=-1e6, max_value=1e6))
def test_what_is_vouched_for_is_never_newer_than_the_collector_said(
    words: list[tuple[float, float, float]], ahead: float
) -> None:
    """By more than the quickest way of a word took: clocks that differ, and words that are late, change nothing."""
    vouch, clock, quickest, most = Vouch(), 0.0, inf, -inf
    for pause, age, way in words:
        clock += pause
        quickest = min(quickest, way)
        most = max(most, clock - age + quickest)
        vouch.take(Holds(clock=clock, age_seconds=age), now=clock + ahead + way)
        assert vouch.until <= most + ahead + SLACK


def test_a_word_that_waited_on_its_way_is_as_old_as_it_is() -> None:
    """It was made 20 s before it came: the one before shows how quick the way is."""
    vouch = Vouch()
    vouch.take(Holds(clock=500.0, age_seconds=4.0), now=1000.0)
    assert vouch.until == 996.0
    vouch.take(Holds(clock=502.0, age_seconds=4.0), now=1022.0)
    assert vouch.until == 998.0


def test_a_quicker_way_later_corrects_what_is_vouched_from_then_on() -> None:
    """The first word had been held up."""
    vouch = Vouch()
    vouch.take(Holds(clock=500.0, age_seconds=0.0), now=1003.0)
    vouch.take(Holds(clock=510.0, age_seconds=0.0), now=1010.0)
    assert vouch.until == 1010.0
    vouch.take(Holds(clock=512.0, age_seconds=0.0), now=1015.0)
    assert vouch.until == 1012.0


def test_what_is_not_held_is_as_old_as_it_was_said_to_be() -> None:
    """Whatever is vouched for beside it."""
    vouch = Vouch(until=90.0)
    assert Told("idle", 80.0).moment == 80.0
    assert Told("idle", 80.0, vouch).moment == 90.0
    assert Told("idle", 95.0, vouch).moment == 95.0


def test_what_is_let_go_keeps_what_was_vouched_for_and_no_more() -> None:
    """From there it ages."""
    vouch = Vouch(until=90.0)
    alone = Told("idle", 80.0, vouch).alone()
    vouch.until = 99.0
    assert alone == Told("idle", 90.0, None)
