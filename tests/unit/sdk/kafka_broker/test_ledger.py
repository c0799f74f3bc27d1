"""What is kept of a partition beside its offset: every outcome, in whatever order, in little room."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool.broker._kafka.ledger import WINDOW, Committed, Ledger


def kept(ledger: Ledger) -> Ledger:
    """As whoever has the partition next reads it."""
    return Committed(ledger.base, ledger.text("me")).ledger()


def test_the_base_is_the_first_job_that_is_not_done() -> None:
    ledger = Ledger(100)
    for offset in (101, 103, 100):
        ledger.finish(offset)
    assert ledger.base == 102
    assert [ledger.is_done(offset) for offset in range(99, 105)] == [True, True, True, False, True, False]


def test_what_is_begun_and_done_is_counted() -> None:
    ledger = Ledger(0)
    for offset in (0, 1, 2):
        ledger.begin(offset)
    ledger.finish(1)
    assert ledger.counts() == (2, 1)


def test_who_has_the_partition_next_knows_how_often_a_job_was_given_out() -> None:
    ledger = Ledger(7)
    ledger.begin(7)
    ledger.begin(7)
    ledger.begin(9)
    ledger.unbegin(9)
    assert [kept(ledger).deliveries(offset) for offset in (7, 8, 9)] == [2, 0, 0]


def test_a_slow_job_holds_up_its_partition_only_after_so_many_others() -> None:
    ledger = Ledger(5)
    ledger.begin(5)
    assert ledger.has_room(5 + WINDOW - 1)
    assert not ledger.has_room(5 + WINDOW)
    ledger.finish(5)
    assert ledger.has_room(5 + WINDOW)


@given(base=st.integers(0, 2**40), ends=st.lists(st.integers(0, 300), max_size=60), begun=st.sets(st.integers(0, 300)))
def test_what_is_kept_is_what_was_known(base: int, ends: list[int], begun: set[int]) -> None:
    ledger = Ledger(base)
    for number in begun:
        ledger.begin(base + number)
    for number in ends:
        ledger.finish(base + number)
    after = kept(ledger)
    for number in range(301):
        assert after.is_done(base + number) == (number in ends)
        assert after.deliveries(base + number) == (number in begun and number not in ends)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_full_window_with_holes_anywhere_has_room_in_what_kafka_keeps(share: float) -> None:
    dice = random.Random(1)
    ledger = Ledger(0)
    done = {offset for offset in range(1, WINDOW) if dice.random() < share}
    for offset in range(WINDOW):
        ledger.begin(offset)
    for offset in done:
        ledger.finish(offset)
    assert len(ledger.text("0123456789ab")) < 4096
    after = kept(ledger)
    assert all(after.is_done(offset) == (offset in done) for offset in range(WINDOW))


def test_where_it_does_not_fit_attempts_are_forgotten_before_outcomes() -> None:
    dice = random.Random(1)
    ledger = Ledger(0)
    for offset in range(WINDOW):
        for _ in range(dice.randrange(1, 30)):
            ledger.begin(offset)
    ledger.finish(WINDOW - 1)
    after = kept(ledger)
    assert after.is_done(WINDOW - 1)
    assert after.deliveries(0) == 0


@pytest.mark.parametrize("text", ["", "somebody's own note", "wp1", "wp1:x", "wp1:x:!!!", "wp1:x:AAAA", "wp9:x:y"])
def test_a_text_that_is_not_ours_says_nothing(text: str) -> None:
    ledger = Committed(12, text).ledger()
    assert (ledger.base, ledger.counts()) == (12, (0, 0))


def test_what_kafka_has_deleted_by_age_is_behind_us() -> None:
    ledger = Ledger(0)
    for offset in (3, 6):
        ledger.finish(offset)
    after = Committed(0, ledger.text("me")).ledger(beginning=3)
    assert after.base == 4
    assert [after.is_done(offset) for offset in (4, 5, 6)] == [False, False, True]


def test_it_is_told_who_has_written_it() -> None:
    assert Committed(0, Ledger(0).text("me")).writer == "me"
    assert Committed(0, "note").writer == ""
