"""Only what was said counts, by when it was true."""

from dataclasses import replace

from workerpool_operator.domain.stuck import Reading, Word, heard, read

WORD = Word(boot_id="one", taken=3, full=False)
READING = Reading(waiting=4, arrivals=10, holds_seconds=5.0)


def test_a_word_that_is_told_again_adds_nothing() -> None:
    first = heard(None, WORD, at=100.0)
    again = heard(heard(first, WORD, at=104.0), WORD, at=104.0)
    assert (again.idle, again.heard_at) == (4.0, 104.0)


def test_a_word_that_arrives_late_does_not_turn_time_back() -> None:
    """Its collector took longer over this message than over the one before."""
    one = heard(heard(None, WORD, at=104.0), WORD, at=103.9)
    assert (one.idle, one.heard_at) == (0.0, 104.0)


def test_jobs_that_were_begun_before_the_first_word_are_no_movement() -> None:
    assert heard(None, WORD, at=100.0).moved_at is None
    assert heard(heard(None, WORD, at=100.0), WORD._replace(taken=4), at=101.0).moved_at == 101.0


def test_the_time_behind_a_fence_is_no_rest() -> None:
    rested = heard(heard(None, WORD, at=100.0), WORD, at=106.0)
    assert rested.rested_at == 106.0
    assert heard(rested, WORD._replace(fenced=True), at=110.0).rested_at == 106.0


def test_an_old_word_says_nothing_about_now() -> None:
    one = heard(None, WORD, at=100.0)
    assert (one.fresh(115.0), one.fresh(116.0)) == (True, False)


def test_an_older_reading_of_another_collector_changes_nothing() -> None:
    known = read(None, READING, at=100.0)
    assert read(known, replace(READING, waiting=0), at=99.0) is known


def test_how_long_jobs_wait_is_known_as_long_as_the_last_reading_holds() -> None:
    known = read(read(None, READING, at=100.0), READING, at=103.0)
    assert (known.seconds(107.0), known.seconds(109.0)) == (3.0, 0.0)


def test_after_a_gap_between_readings_the_waiting_begins_anew() -> None:
    known = read(read(None, READING, at=100.0), READING, at=106.0)
    assert (known.since, known.drawn_at) == (106.0, None)


def test_jobs_are_drawn_when_more_came_than_wait_more() -> None:
    first = read(None, READING, at=100.0)
    assert read(first, replace(READING, arrivals=12, waiting=6), at=101.0).drawn_at is None
    assert read(first, replace(READING, arrivals=12, waiting=5), at=101.0).drawn_at == 101.0
    assert read(first, replace(READING, waiting=3), at=101.0).drawn_at == 101.0


def test_nothing_is_known_to_be_drawn_where_arrivals_are_not_counted_or_begin_anew() -> None:
    first = read(None, READING, at=100.0)
    assert read(first, replace(READING, arrivals=None, waiting=0), at=101.0).drawn_at is None
    assert read(first, replace(READING, arrivals=2, waiting=0), at=101.0).drawn_at is None
    uncounted = read(None, replace(READING, arrivals=None), at=100.0)
    assert read(uncounted, READING, at=101.0).drawn_at is None
