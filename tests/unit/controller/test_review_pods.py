"""What the planner is told of a pod."""

from typing import Any

import pytest

from workerpool_operator.controller.pods import pod_list
from workerpool_operator.domain.shields import ANNOTATIONS

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


@pytest.mark.parametrize(
    ("annotations", "shielded"),
    [
        ({}, False),
        ({**ANNOTATIONS, "another": "one"}, True),
        (dict([*ANNOTATIONS.items()][:1]), None),
        ({key: f"not {value}" for key, value in ANNOTATIONS.items()}, False),
    ],
)
def test_whether_its_node_is_kept_for_it(annotations: dict[str, str], *, shielded: bool | None) -> None:
    pod = body(RUNNING)
    pod["metadata"]["annotations"] = annotations
    assert pod_list("web", [pod]).active[0].shielded is shielded


def test_those_that_are_being_deleted_are_told_apart_until_they_have_ended() -> None:
    deleted, ended = body(RUNNING), body(RUNNING)
    deleted["metadata"] |= {"uid": "deleted", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    ended["metadata"] |= {"uid": "ended", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    ended["status"]["phase"] = "Succeeded"
    found = pod_list("web", [body(RUNNING), deleted, ended])
    assert [pod.uid for pod in found.active] == ["u"]
    assert found.terminating == {"deleted"}
