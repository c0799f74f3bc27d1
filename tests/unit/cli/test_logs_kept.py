"""Which lines are kept of what many workers wrote, and why some pods have none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workerpool_operator.cli.logs.kept import MOST_LOOKED, Kept, Sought
from workerpool_operator.cli.logs.lines import Choice, Level, Line
from workerpool_operator.cli.logs.silent import has_log, is_stuck, was_restarted, why_silent

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def line(second: int, text: str = "x") -> Line:
    return Line.of(text, at=NOON + timedelta(seconds=second), pool="thumbs", version="v", worker="w")


def seconds(kept: Kept) -> list[int]:
    return [(one.at - NOON).seconds for one in kept.all()]


def test_the_last_lines_of_each_worker_are_kept_in_the_order_of_time() -> None:
    kept = Kept(2)
    for worker, second in (("a", 1), ("a", 3), ("b", 2), ("a", 5)):
        kept.add(worker, line(second))
    assert seconds(kept) == [2, 3, 5]
    assert (kept.of("a"), kept.of("b"), kept.of("c"), kept.dropped) == (2, 1, 0, False)


def test_none_are_kept_of_none() -> None:
    kept = Kept(0)
    kept.add("a", line(1))
    assert kept.all() == []


@pytest.mark.parametrize("bounds", [{"lines": 10}, {"size": 1_000}], ids=["lines", "bytes"])
def test_of_a_flood_the_newest_are_kept(bounds: dict[str, int]) -> None:
    """Of all workers together, and no more than twice as many while they come."""
    kept = Kept(None, **bounds)
    for second in range(500):
        kept.add(f"w{second % 3}", line(second, "x" * 100))
        assert kept._count <= 21
    assert seconds(kept) == list(range(490, 500))
    assert kept.dropped


@pytest.mark.parametrize(
    ("sought", "lines"),
    [
        (Sought(), MOST_LOOKED),
        (Sought(tail=100), 100),
        (Sought(tail=10**9), MOST_LOOKED),
        (Sought(tail=100, choice=Choice(level=Level.ERROR)), MOST_LOOKED),
        (Sought(tail=100, choice=Choice(job_id="7")), MOST_LOOKED),
        (Sought(tail=100, choice=Choice(worker="w", version="v")), 100),
    ],
)
def test_more_lines_are_looked_through_where_some_are_chosen(sought: Sought, lines: int) -> None:
    assert sought.looked_through == lines


def pod(name: str = "thumbs-1", *, phase: str = "Pending", **status: Any) -> dict[str, Any]:
    """One with this status of its worker."""
    found = {"phase": phase, "containerStatuses": [{"name": "worker", "image": "thumbs:9", **status}] if status else []}
    spec = {"containers": [{"name": "worker", "image": "thumbs:9"}]}
    return {"metadata": {"name": name}, "spec": spec, "status": found}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


UNPLACED = {
    "metadata": {"name": "thumbs-1"},
    "status": {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no room"}
        ],
    },
}


@pytest.mark.parametrize(
    ("one", "stuck", "words"),
    [
        (pod(**waiting("ImagePullBackOff", "Back-off pulling")), True, "its image thumbs:9 cannot be pulled"),
        (pod(**waiting("ImagePullBackOff", "Back-off pulling")), True, "(ImagePullBackOff: Back-off pulling). Check"),
        (pod(**waiting("CreateContainerConfigError", 'secret "x" not found')), True, 'secret "x" not found). Create'),
        (pod(**waiting("ContainerCreating")), False, "its container has not started (ContainerCreating)"),
        (UNPLACED, True, "no node takes it (Unschedulable: 0/3 nodes: no room)"),
        (pod(), False, "it is Pending"),
        ({"metadata": {"name": "thumbs-1"}}, False, "it is Pending"),
    ],
)
def test_why_a_pod_has_no_log_is_told(one: dict[str, Any], stuck: bool, words: str) -> None:  # noqa: FBT001
    [sentence] = why_silent([one])
    assert sentence.startswith("thumbs-1 has no log yet: ")
    assert words in sentence
    assert (has_log(one), is_stuck(one)) == (False, stuck)


def test_pods_with_one_reason_are_told_together() -> None:
    pods = [pod(f"thumbs-{number}", **waiting("ErrImagePull")) for number in range(5)]
    [sentence] = why_silent(pods)
    assert sentence.startswith("thumbs-0, thumbs-1, thumbs-2 and 2 more have no log yet: ")


@pytest.mark.parametrize(
    ("status", "log", "before"),
    [
        ({"state": {"running": {}}, "restartCount": 0}, True, False),
        ({"state": {"terminated": {}}}, True, False),
        ({**waiting("CrashLoopBackOff"), "restartCount": 1, "lastState": {"terminated": {}}}, True, True),
        ({**waiting("CrashLoopBackOff"), "restartCount": 0, "lastState": {"terminated": {}}}, True, True),
    ],
)
def test_whether_there_is_a_log(status: dict[str, Any], log: bool, before: bool) -> None:  # noqa: FBT001
    one = pod(**status)
    assert (has_log(one), was_restarted(one)) == (log, before)
