"""`wpool job status`: what follows from running workers, dead letters and lines of logs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workerpool.telemetry import fates
from workerpool_operator.cli.job_state import Found, Seen, State, told
from workerpool_operator.cli.logs.lines import Line

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LETTER = {
    "queue": "main",
    "job_id": "7",
    "type": "resize",
    "reason": "max_attempts",
    "attempts": 5,
    "error": "gave up",
    "died_at": NOON.timestamp(),
    "version": "v1",
    "worker": "w1",
}
DUMP = {
    "process": {"version": "v2", "worker": "w2"},
    "jobs": [{"job_id": "7", "type": "resize", "attempt": 2, "queue": "main", "state": "runs"}],
}


def line(event: str = "", *, second: int = 0, **fields: Any) -> Line:
    """What a worker has written, so many seconds after noon."""
    text = json.dumps({"job_id": "7", "version": "v1", "worker": "w1", "event": event, **fields})
    return Line.of(text, at=NOON + timedelta(seconds=second), pool="thumbs", version="", worker="")


FAILED = line(fates.FAILED, error="E1", attempt=1, job_type="resize")


def found(**seen: Any) -> Found:
    return told("7", Seen(**seen))


def test_a_job_that_runs_is_told_by_its_worker_with_its_last_error() -> None:
    one = found(running=[{"process": {}}, DUMP], letters=[LETTER], lines=[FAILED])
    assert (one.state, one.attempt, one.version, one.worker) == (State.RUNNING, 2, "v2", "w2")
    assert one.last_error == "E1"


def test_a_dead_letter_tells_why_it_died() -> None:
    one = found(letters=[LETTER | {"job_id": "8"}, LETTER], lines=[FAILED])
    assert (one.state, one.attempt, one.last_error, one.at) == (State.DEAD, 5, "gave up", NOON.isoformat())
    assert "max_attempts" in one.by


def test_the_last_failure_that_was_logged_counts() -> None:
    lines = [FAILED, line(fates.FAILED, second=5, error="E2", attempt=2), line("tidying up", second=6)]
    one = found(lines=lines)
    assert (one.state, one.attempt, one.last_error, one.version) == (State.RETRIED, 2, "E2", "v1")


@pytest.mark.parametrize("event", [fates.DONE, fates.DONE_LATE])
@pytest.mark.parametrize(
    "after", [[], [line("goes on", second=9, attempt=1)], [line("bye", second=9)]], ids=["", "an old attempt's", "any"]
)
def test_a_job_that_failed_and_then_finished_is_done(event: str, after: list[Line]) -> None:
    """Whatever an attempt that was given up writes later."""
    one = found(lines=[FAILED, line(event, second=5, attempt=2), *after])
    assert (one.state, one.attempt, one.last_error) == (State.DONE, 2, "E1")


def test_done_wins_over_a_failure_of_the_same_moment() -> None:
    assert found(lines=[line(fates.DONE, attempt=2), FAILED]).state is State.DONE


def test_one_that_failed_after_another_of_its_name_was_done_is_to_be_retried() -> None:
    one = found(lines=[line(fates.DONE, attempt=2), line(fates.FAILED, second=60, attempt=1, error="E")])
    assert (one.state, one.attempt) == (State.RETRIED, 1)


def test_a_dead_letter_of_before_another_of_its_name_was_done_is_past() -> None:
    done = line(fates.DONE, second=60, attempt=2)
    assert found(letters=[LETTER], lines=[done]).state is State.DONE
    assert found(letters=[LETTER | {"died_at": NOON.timestamp() + 90}], lines=[done]).state is State.DEAD


def test_lines_without_an_error_tell_that_an_attempt_has_begun() -> None:
    """Which one, by the last that says it; and that nobody knows how it ended."""
    lines = [line("fetching", attempt=1, job_type="resize"), line("resizing", second=1, attempt=2), line("x", second=2)]
    one = found(lines=lines)
    assert (one.state, one.attempt, one.worker, one.at) == (State.STARTED, 2, "w1", lines[-1].at.isoformat())
    assert "nobody has logged how the attempt ended" in one.by


@pytest.mark.parametrize(("ended", "later"), [(fates.FAILED, 2), (fates.FAILED, 1), (fates.DONE, 4)])
def test_a_later_attempt_than_the_one_that_ended_has_begun(ended: str, later: int) -> None:
    """After a redrive attempts count from the first one again."""
    first = line(ended, attempt=3, error="E")
    one = found(lines=[first, line("resizing", second=9, attempt=later)])
    assert (one.state, one.attempt, one.last_error) == (State.STARTED, later, "E")


def test_an_error_of_a_worker_without_the_sdk_is_taken_for_the_end_of_its_attempt() -> None:
    one = found(lines=[line("it broke", attempt=1, error="E")])
    assert (one.state, one.attempt, one.last_error) == (State.RETRIED, 1, "E")


def test_what_a_handler_calls_an_error_on_its_way_is_no_end() -> None:
    lines = [FAILED, line("slow answer", second=8, attempt=2, error="timeout"), line(fates.DONE, second=9, attempt=2)]
    assert found(lines=lines).state is State.DONE


def test_a_dead_job_whose_letter_cannot_be_asked_for_is_told_by_its_worker() -> None:
    """And one whose letter is not there any more is not called dead."""
    lines = [line(fates.BURIED, attempt=5, error="E")]
    dead = found(lines=lines, unseen={"letters": "you may not"})
    assert (dead.state, dead.attempt) == (State.DEAD, 5)
    assert "Whether it still is a dead letter is not known: you may not" in dead.by
    gone = found(lines=lines)
    assert (gone.state, gone.last_error) == (State.UNKNOWN, "E")
    assert "no dead letter any more" in gone.by


@pytest.mark.parametrize("lines", [[], [line("x", job_id="8", error="E")], [line("started", job_id=None)]])
def test_of_others_nothing_is_known(lines: list[Line]) -> None:
    one = found(lines=lines)
    assert one.state is State.UNKNOWN
    assert one.by.startswith("no worker runs it; it is no dead letter; no worker that is there has logged anything")


def test_where_it_could_not_be_looked_for_is_told() -> None:
    """Never that it is not there."""
    one = found(unseen={"running": "no exec", "letters": "no jobs", "lines": "no logs"}, of_gone=True)
    assert one.by == (
        "whether a worker runs it is not known: no exec; whether it is a dead letter is not known: no jobs; "
        "what was logged of it is not all known: no logs"
    )
    assert found(of_gone=True).by == "no worker runs it; it is no dead letter; no worker has logged anything of it"
    assert (
        "whether a worker runs it now is not known: no exec" in found(lines=[FAILED], unseen={"running": "no exec"}).by
    )
