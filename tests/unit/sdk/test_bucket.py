"""The token bucket: never more than its rate allows, and what is said about waiting is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool.broker import Tokens
from workerpool.broker._bucket import Level, draw


def test_a_bucket_that_nobody_has_used_is_full() -> None:
    assert draw(None, now=5.0, count=3, rate=1.0, burst=10.0) == (Level(7.0, 5.0), Tokens(3, 0.0))


def test_what_is_there_is_given_and_the_wait_is_for_the_rest() -> None:
    assert draw(Level(2.0, 0.0), now=0.0, count=5, rate=2.0, burst=10.0) == (Level(0.0, 0.0), Tokens(2, 1.5))


def test_nobody_waits_for_more_than_the_bucket_can_hold() -> None:
    assert draw(Level(0.0, 0.0), now=0.0, count=50, rate=2.0, burst=4.0)[1] == Tokens(0, 2.0)


def test_a_clock_that_was_set_back_neither_gives_nor_takes() -> None:
    assert draw(Level(2.5, 9.0), now=4.0, count=1, rate=1.0, burst=10.0) == (Level(1.5, 4.0), Tokens(1, 0.0))


def test_clocks_that_are_a_little_apart_give_no_more_than_one() -> None:
    """As of two workers on NATS, each with its own idea of the server's time: one hears it 20 ms later."""
    level, given_out = None, 0
    for hundredth in range(1000):
        late = 0.02 if hundredth % 2 else 0.0
        level, tokens = draw(level, now=hundredth / 100 - late, count=5, rate=100.0, burst=5.0)
        given_out += tokens.granted
    assert 980 <= given_out <= 5 + 1000


@pytest.mark.parametrize("apart", [0.02, 0.2])
def test_one_whose_clock_is_ahead_takes_no_time_from_the_others(apart: float) -> None:
    """It draws one token a second; the others, who want all, had to wait for its clock, and what came was lost."""
    level, given_out = None, 0
    for hundredth in range(1000):
        now = hundredth / 100
        if hundredth % 100 == 0:
            level, tokens = draw(level, now=now + apart, count=1, rate=20.0, burst=6.0)
            given_out += tokens.granted
        level, tokens = draw(level, now=now, count=5, rate=20.0, burst=6.0)
        given_out += tokens.granted
    assert 0.95 * 200 <= given_out <= 6 + 20 * (10 + apart)


def test_whose_clock_is_behind_waits_for_that_too() -> None:
    level, first = draw(Level(0.0, 10.2), now=10.0, count=1, rate=10.0, burst=5.0)
    assert first.granted == 0
    assert first.retry_after == pytest.approx(0.3)
    assert draw(level, now=10.0 + first.retry_after + 1e-9, count=1, rate=10.0, burst=5.0)[1].granted == 1


def test_what_was_not_spent_is_taken_back_as_far_as_there_is_room() -> None:
    assert draw(Level(1.0, 0.0), now=0.0, count=-3, rate=1.0, burst=10.0) == (Level(4.0, 0.0), Tokens(-3, 0.0))
    assert draw(Level(9.0, 0.0), now=0.0, count=-3, rate=1.0, burst=10.0)[0] == Level(10.0, 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 20)), max_size=60),
    st.floats(0.1, 50),
    st.floats(1, 30),
)
def test_in_any_time_no_more_is_given_than_burst_and_rate_allow(
    asks: list[tuple[float, int]], rate: float, burst: float
) -> None:
    level, now, given_out = None, 0.0, 0
    for pause, count in asks:
        now += pause
        level, tokens = draw(level, now=now, count=count, rate=rate, burst=burst)
        given_out += tokens.granted
        assert 0 <= tokens.granted <= count
        assert given_out <= burst + rate * now + 1e-6
        assert (tokens.retry_after > 0) <= (tokens.granted < count)


@given(st.floats(0, 10), st.integers(1, 10), st.floats(0.1, 50))
def test_after_the_wait_the_missing_ones_are_there(tokens: float, count: int, rate: float) -> None:
    level, first = draw(Level(tokens, 0.0), now=0.0, count=count, rate=rate, burst=10.0)
    missing = count - first.granted
    if missing:
        _, second = draw(level, now=first.retry_after * (1 + 1e-9) + 1e-9, count=missing, rate=rate, burst=10.0)
        assert second.granted == missing
