"""How many workers should give a sign of life: the number that WorkerHeartbeatMissing goes by."""

from dataclasses import replace
from typing import Any, cast

import pytest

from workerpool_operator.collector.board import EXPECTED_AFTER_SECONDS, Board, PodInfo
from workerpool_operator.collector.kubeapi import ApiClient, PodWatch, fell_from_ready


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


READY = PodInfo(
    name="p", uid="u", pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
)
STARTING = replace(READY, ready=False, was_ready=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(announce=lambda *_, **__: None, clock=clock)


def conditions(**kinds: tuple[str, str]) -> dict[str, Any]:
    """Type -> (status, seconds within the minute)."""
    return {
        kind: {"type": kind, "status": status, "lastTransitionTime": f"2026-01-01T00:00:{second}Z"}
        for kind, (status, second) in kinds.items()
    }


def test_a_worker_that_has_never_been_ready_is_not_expected(board: Board, clock: Clock) -> None:
    board.pod_seen(STARTING)
    clock.now += 3600
    assert board.expected_workers("web") == 0


def test_a_worker_is_expected_once_prometheus_must_have_found_it(board: Board, clock: Clock) -> None:
    board.pod_seen(READY)
    clock.now += EXPECTED_AFTER_SECONDS - 1
    assert board.expected_workers("web") == 0
    clock.now += 1
    assert board.expected_workers("web") == 1
    assert board.expected_workers("other") == 0


def test_one_that_stops_being_ready_is_expected_all_the_same(board: Board, clock: Clock) -> None:
    board.pod_seen(READY)
    clock.now += EXPECTED_AFTER_SECONDS
    board.pod_seen(replace(READY, ready=False))
    assert board.expected_workers("web") == 1


def test_one_that_keeps_changing_is_counted_from_its_first_time(board: Board, clock: Clock) -> None:
    for _ in range(int(EXPECTED_AFTER_SECONDS)):
        clock.now += 1
        board.pod_seen(READY)
    clock.now += 1
    assert board.expected_workers("web") == 1


def test_one_that_is_being_deleted_is_not_missed(board: Board, clock: Clock) -> None:
    board.pod_seen(READY)
    clock.now += EXPECTED_AFTER_SECONDS
    board.pod_seen(replace(READY, terminating=True))
    assert board.expected_workers("web") == 0


def test_one_that_is_gone_is_forgotten(board: Board, clock: Clock) -> None:
    board.pod_seen(READY)
    clock.now += EXPECTED_AFTER_SECONDS
    board.pod_gone("u")
    board.pod_gone("u")
    assert board.expected_workers("web") == 0


@pytest.mark.parametrize(
    ("found", "fell"),
    [
        (conditions(Initialized=("True", "10"), Ready=("False", "10")), False),
        (conditions(Initialized=("True", "10"), Ready=("False", "11")), False),
        (conditions(Initialized=("True", "10"), Ready=("False", "12")), True),
        (conditions(Initialized=("True", "30"), Ready=("False", "10")), False),
        (conditions(PodScheduled=("False", "10")), False),
        ({"Initialized": {"type": "Initialized"}, "Ready": {"type": "Ready"}}, False),
        (conditions(Initialized=("True", "10"), Ready=("False", "xx")), False),
        ({kind: {"lastTransitionTime": None} for kind in ("Initialized", "Ready")}, False),
    ],
    ids=[
        "starting",
        "starting over a second",
        "fell",
        "after init containers",
        "no node",
        "no times",
        "no time",
        "null",
    ],
)
def test_whether_a_pod_has_been_ready_shows_in_its_conditions(found: dict[str, Any], *, fell: bool) -> None:
    assert fell_from_ready(found) is fell


def test_a_collector_that_starts_after_a_node_was_lost_still_expects_its_workers(board: Board, clock: Clock) -> None:
    """The node controller has made them unready; nothing else tells of what they were."""
    lost = conditions(Initialized=("True", "10"), ContainersReady=("True", "15"), Ready=("False", "55"))
    pod = {
        "metadata": {"name": "p", "uid": "u", "labels": {"workerpool.dev/pool": "web"}},
        "status": {"phase": "Running", "conditions": list(lost.values())},
    }
    watch = PodWatch(cast("ApiClient", None), board, namespace="ns", synced=lambda: None, tell=lambda *_: None)
    watch._take(pod)
    clock.now += EXPECTED_AFTER_SECONDS
    assert board.expected_workers("web") == 1
