"""What the planner is told of a pod."""

from typing import Any

import pytest

from workerpool_operator.controller.pods import pod_list

RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
CRASHED: dict[str, Any] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}


def body(*states: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "uid": "u", "labels": {}},
        "status": {"phase": "Running", "containerStatuses": [{"state": state} for state in states]},
    }


@pytest.mark.parametrize(
    ("states", "running"), [((RUNNING,), True), ((CRASHED,), False), ((CRASHED, RUNNING), True), ((), False)]
)
def test_a_pod_runs_while_one_of_its_containers_does(states: tuple[dict[str, Any], ...], *, running: bool) -> None:
    """Its phase stays Running while a container waits to be started again."""
    assert pod_list("web", [body(*states)]).active[0].running is running


def test_those_that_are_being_deleted_are_told_apart_until_they_have_ended() -> None:
    deleted, ended = body(RUNNING), body(RUNNING)
    deleted["metadata"] |= {"uid": "deleted", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    ended["metadata"] |= {"uid": "ended", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    ended["status"]["phase"] = "Succeeded"
    found = pod_list("web", [body(RUNNING), deleted, ended])
    assert [pod.uid for pod in found.active] == ["u"]
    assert found.terminating == {"deleted"}
