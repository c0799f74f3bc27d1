"""What is made of the end of the Job that moves dead letters, and of what it wrote."""

from typing import Any, cast

import pytest

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.dlq import run
from workerpool_operator.cli.dlq.run import cut_off, so_far, understood
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds


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
    assert understood('x.py:1: DeprecationWarning: y\n{"count": 5}\n', cut_off="") == [{"count": 5}]


def test_what_it_says_itself_of_its_failure_comes_first() -> None:
    with pytest.raises(TroubleError, match="cannot be asked: QueueUnavailable"):
        understood('{"error": "QueueUnavailable: x"}', cut_off="Error, exit code 1")


SO_FAR = '{"queue": "main", "count": 3}\n{"queue": "slow", "so_far": 500}\n{"queue": "slow", "so_far": 1500}\n'


def test_what_was_ended_in_its_midst_says_how_much_was_done() -> None:
    """Of each queue the last that it has said: it says so every second."""
    with pytest.raises(
        TroubleError, match=r"\(OOMKilled\)\. Until then 3 of queue main, 1500 of queue slow wait again"
    ):
        understood(SO_FAR, cut_off="OOMKilled", done="wait again")
    with pytest.raises(TroubleError, match=r"BrokerUnavailable: x\. Until then 3 of queue main, 1500 of queue slow"):
        understood(SO_FAR + '{"error": "BrokerUnavailable: x"}', cut_off="Error, exit code 1", done="wait again")
    with pytest.raises(TroubleError, match=r"^the pool's queue cannot be asked: x$"):
        understood('{"error": "x"}', cut_off="Error, exit code 1", done="wait again")
    assert "Until then none were deleted, as far as it has said" in so_far([], done="were deleted")


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
