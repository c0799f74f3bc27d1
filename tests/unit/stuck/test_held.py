"""A word that its collector vouches for counts as if it had been said again and again."""

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.stuck import Reading, Word, heard, held, read, unchanged

WORDS = st.builds(
    Word,
    boot_id=st.just("one"),
    taken=st.integers(0, 2),
    full=st.booleans(),
    fenced=st.booleans(),
    paused=st.booleans(),
    barred=st.sampled_from([frozenset[str](), frozenset({"other"})]),
)


@given(first=WORDS, word=WORDS, seconds=st.integers(1, 300), step=st.sampled_from([1, 5, 15]))
def test_held_is_what_repeating_it_would_come_to(first: Word, word: Word, seconds: int, step: int) -> None:
    """In whatever steps it would have been repeated, none of them longer than a report is fresh."""
    before = heard(heard(None, first, at=0.0), word, at=5.0)
    repeated, at = before, 5.0
    while at < 5.0 + seconds:
        at = min(at + step, 5.0 + seconds)
        repeated = heard(repeated, word, at=at)
    assert held(before, at=at) == repeated


@given(word=WORDS, early=st.floats(-100.0, 5.0))
def test_a_vouched_moment_that_is_over_changes_nothing(word: Word, early: float) -> None:
    """What was heard since is newer."""
    before = heard(None, word, at=5.0)
    assert held(before, at=early) == before


def test_a_gap_that_nobody_vouches_for_still_ends_what_was_going_on() -> None:
    """A stream that breaks makes no evidence."""
    idle = Word("one", 0, full=False)
    before = held(heard(None, idle, at=0.0), at=100.0)
    assert (before.idle, heard(before, idle, at=120.0).idle) == (100.0, 0.0)


def test_a_queue_that_is_vouched_for_was_read_then_and_jobs_in_it_have_waited_all_the_time() -> None:
    """Never earlier than it was read."""
    before = read(None, Reading(waiting=3, arrivals=None, holds_seconds=5.0), at=10.0)
    assert unchanged(before, at=70.0).seconds(71.0) == 60.0
    assert unchanged(before, at=5.0) == before
