"""What is made of the end of the Job that moves dead letters, and of what it wrote."""

import json
from typing import Any, cast

import aiohttp
import pytest

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.dlq import run
from workerpool_operator.cli.dlq.run import Moves, cut_off, so_far, understood
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds


def ended(phase: str, **terminated: Any) -> dict[str, Any]:
    return {"status": {"phase": phase, "containerStatuses": [{"state": {"terminated": terminated}}]}}


def test_what_came_to_its_end_by_itself_was_not_cut_off() -> None:
    """Then what it wrote is all there is, and nothing written is nothing there."""
    assert cut_off(ended("Succeeded", exitCode=0, reason="Completed")) == ""
    assert understood("", cut_off="") == []


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (ended("Failed", exitCode=137, reason="OOMKilled"), "OOMKilled, exit code 137"),
        ({"status": {"phase": "Failed", "reason": "Evicted"}}, "Evicted"),
        ({"status": {"phase": "Failed", "containerStatuses": [{}]}}, "Kubernetes does not say why"),
    ],
)
def test_what_was_ended_is_told_with_why(pod: dict[str, Any], why: str) -> None:
    """Half of an answer is none: jobs may have been moved that nobody would hear of."""
    assert cut_off(pod) == why
    with pytest.raises(TroubleError, match=why):
        understood('{"count": 5}\n', cut_off=cut_off(pod))


def test_the_last_words_of_what_was_ended_are_told() -> None:
    with pytest.raises(TroubleError, match="No module named workerpool"):
        understood("python: No module named workerpool\n", cut_off="Error, exit code 1")


def test_what_libraries_write_beside_the_answer_is_passed_over() -> None:
    counted = {"queue": "q", "count": 5}
    text = f'x.py:1: DeprecationWarning: y\n{{"level": "info"}}\n{json.dumps(counted)}\n{{"lines": 1}}\n'
    assert understood(text, cut_off="") == [counted]


LETTERS = '{"queue": "main", "job_id": "a"}\n{"queue": "main", "job_id": "b"}\n'


def test_half_of_a_list_is_not_taken_for_all_of_it() -> None:
    """A node keeps the newest part of a long log."""
    assert len(understood(LETTERS + '{"lines": 2}\n', cut_off="")) == 2
    with pytest.raises(
        TroubleError, match=r"of the 9 lines that the Job said 2 are there\..* ask for less, by --limit"
    ):
        understood(LETTERS + '{"lines": 9}\n', cut_off="")
    assert len(understood(LETTERS, cut_off="")) == 2, "an older one does not say how many there were"


def test_a_move_that_was_done_is_done_whatever_is_left_of_its_log() -> None:
    """How far it was on the way may be lost: the counts stand at the end."""
    text = '{"queue": "main", "count": 3}\n{"lines": 9}\n'
    assert understood(text, cut_off="", moves=REDRIVEN) == [{"queue": "main", "count": 3}]


def test_what_it_says_itself_of_its_failure_comes_first() -> None:
    with pytest.raises(TroubleError, match="cannot be asked: QueueUnavailable"):
        understood('{"error": "QueueUnavailable: x"}', cut_off="Error, exit code 1")


REDRIVEN = Moves(done="wait again", look="`wpool dlq list thumbs -n media` shows what is left")
SO_FAR = '{"queue": "main", "count": 3}\n{"queue": "slow", "so_far": 500}\n{"queue": "slow", "so_far": 1500}\n'


def test_what_was_ended_in_its_midst_says_how_much_was_done() -> None:
    """Of each queue the last that it has said: it says so every second."""
    with pytest.raises(
        TroubleError,
        match=r"\(OOMKilled\)\. Until then 3 of queue main, 1500 of queue slow wait again, as far as it has said: "
        r"`wpool dlq list thumbs -n media` shows what is left$",
    ):
        understood(SO_FAR, cut_off="OOMKilled", moves=REDRIVEN)
    with pytest.raises(TroubleError, match=r"BrokerUnavailable: x\. Until then 3 of queue main, 1500 of queue slow"):
        understood(SO_FAR + '{"error": "BrokerUnavailable: x"}', cut_off="Error, exit code 1", moves=REDRIVEN)
    with pytest.raises(TroubleError, match=r"^the pool's queue cannot be asked: x$"):
        understood('{"error": "x"}', cut_off="Error, exit code 1", moves=REDRIVEN)
    assert "Until then none wait again, as far as it has said" in so_far([], REDRIVEN)


def test_what_came_to_its_end_tells_the_end_only() -> None:
    """How far it was on the way is nothing that anybody asked."""
    assert understood('{"queue": "q", "so_far": 1}\n{"queue": "q", "count": 2}', cut_off="") == [
        {"queue": "q", "count": 2}
    ]


class Server:
    """Cannot be asked at first, and then shows a pod that has ended."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def list(self, *_: Any, **__: Any) -> "Server":
        return self

    async def all(self) -> Any:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]


async def test_a_short_loss_of_the_api_server_ends_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """To give up would delete the Job, in the midst of what it moves."""
    monkeypatch.setattr(run, "_LOOK_SECONDS", 0.0)
    done = ended("Succeeded", exitCode=0)
    job = ObjectRef(kinds.JOB, "media", "thumbs-dlq-1")
    server = Server(errors.Unavailable("connection reset"), errors.RequestTimeout("late"), done)
    assert await run._ended(cast("Kube", server), job, seconds=60) == done
    with pytest.raises(errors.Forbidden):
        await run._ended(cast("Kube", Server(errors.Forbidden("no"))), job, seconds=60)


@pytest.mark.parametrize("moves", [REDRIVEN, None])
async def test_a_log_that_breaks_off_is_asked_for_again(moves: Moves | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes with the Job, and with it what was done; where it cannot be had, that is said, and where to look."""
    monkeypatch.setattr(run, "_LOOK_SECONDS", 0.0)
    answers: list[str | Exception] = [aiohttp.ClientPayloadError("half"), TimeoutError(), "whole"]

    async def log(*_: Any) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(run, "_log", log)
    access = cast("ClusterAccess", None)
    assert await run._whole_log(access, "media", "thumbs-dlq-1", moves) == "whole"
    answers += [aiohttp.ClientPayloadError("half")] * 3
    said = r"come to its end, and what it said cannot be read: half" + (r"\. `wpool dlq list thumbs" if moves else "$")
    with pytest.raises(TroubleError, match=said):
        await run._whole_log(access, "media", "thumbs-dlq-1", moves)
