"""`wpool job status`: what follows from running workers, dead letters and lines of logs."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from workerpool_operator.cli.jobs import Found, State, told
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


def line(**fields: Any) -> Line:
    text = json.dumps({"job_id": "7", "version": "v1", "worker": "w1", **fields})
    return Line.of(text, at=NOON, pool="thumbs", version="", worker="")


FAILED = line(event="job failed, will be retried", error="E1", attempt=1, job_type="resize")


def found(**seen: Any) -> Found:
    return told("7", **({"running": [], "letters": [], "lines": []} | seen))


def test_a_job_that_runs_is_told_by_its_worker_with_its_last_error() -> None:
    one = found(running=[{"process": {}}, DUMP], letters=[LETTER], lines=[FAILED])
    assert (one.state, one.attempt, one.version, one.worker) == (State.RUNNING, 2, "v2", "w2")
    assert one.last_error == "E1"


def test_a_dead_letter_tells_why_it_died() -> None:
    one = found(letters=[LETTER | {"job_id": "8"}, LETTER], lines=[FAILED])
    assert (one.state, one.attempt, one.last_error, one.at) == (State.DEAD, 5, "gave up", NOON.isoformat())
    assert "max_attempts" in one.by


def test_the_last_failure_that_was_logged_counts() -> None:
    lines = [FAILED, line(event="job failed, will be retried", error="E2", attempt=2), line(event="lease lost")]
    one = found(lines=lines)
    assert (one.state, one.attempt, one.last_error, one.version) == (State.RETRIED, 2, "E2", "v1")


@pytest.mark.parametrize("lines", [[], [line(job_id="8", error="E")], [line(event="started")]])
def test_of_others_nothing_is_known(lines: list[Line]) -> None:
    assert found(lines=lines).state is State.UNKNOWN
