"""What the operator is told of pods that are not well, whether or not their workers ever spoke."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.kubeapi import ApiClient, PodWatch, deaths
from workerpool_operator.protocol import PodReport, PoolConfig, Workers, decode_up

WELL = PodInfo(
    name="p", uid="u", pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
)


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def board(told: list[tuple[str, str]]) -> Board:
    made = Board(announce=lambda what, pool, **_: told.append((what, pool)))
    made.configure((PoolConfig(name="web", uid="1", queues=()),))
    return made


def pods(board: Board) -> tuple[PodReport, ...]:
    message = board.workers_message("web")
    assert message is not None
    assert decode_up(message.model_dump_json()) == message
    return message.pods


def container(restarts: int, **state: Mapping[str, Any]) -> dict[str, Any]:
    return {"restartCount": restarts, "state": state}


@pytest.mark.parametrize(
    ("containers", "found"),
    [
        ([], 0),
        ([container(2, running={})], 2),
        ([container(2, terminated={})], 3),
        ([container(2, waiting={"reason": "CrashLoopBackOff"})], 3),
        ([container(0, waiting={"reason": "ImagePullBackOff"})], 0),
        ([container(1, running={}), container(1, terminated={})], 3),
    ],
)
def test_a_container_that_lies_dead_has_died_once_more_than_it_was_restarted(
    containers: list[dict[str, Any]], found: int
) -> None:
    assert deaths({"containerStatuses": containers}) == found


def heard(board: Board) -> None:
    board.heard("web", WorkerState(pod="p", uid="u", version="v", source="stream", connected=True))


def test_a_pod_that_is_well_and_whose_worker_is_heard_is_not_spoken_of(board: Board) -> None:
    board.pod_seen(WELL)
    heard(board)
    assert pods(board) == ()


def test_of_a_pod_whose_worker_was_never_heard_it_is_told_for_how_long_it_is_known() -> None:
    """On a node that is lost, to a collector that came later, a pod looks well for as long as Kubernetes says so."""
    times = iter([0.0, 40.0])
    board = Board(announce=lambda *_, **__: None, clock=lambda: next(times))
    board.configure((PoolConfig(name="web", uid="1", queues=()),))
    board.pod_seen(replace(WELL, deployment="web-1-2", was_ready=False))
    assert pods(board) == (PodReport(uid="u", version="v", node="n", deployment="web-1-2", unheard_seconds=40),)


def test_a_pod_that_is_being_deleted_is_told(board: Board) -> None:
    board.pod_seen(replace(WELL, terminating=True))
    heard(board)
    assert pods(board) == (PodReport(uid="u", version="v", node="n", terminating=True),)


def test_a_worker_is_told_with_its_node_and_deployment(board: Board) -> None:
    board.pod_seen(replace(WELL, deployment="web-1-2-abc"))
    heard(board)
    message = board.workers_message("web")
    assert message is not None
    assert [(one.node, one.deployment) for one in message.workers] == [("n", "web-1-2-abc")]


@pytest.mark.parametrize("change", [{"ready": False}, {"crashes": 1}, {"evicted": True}])
def test_each_change_of_a_pod_is_told_at_once_and_that_it_is_gone_as_well(
    board: Board, told: list[tuple[str, str]], change: dict[str, Any]
) -> None:
    board.pod_seen(WELL)
    heard(board)
    told.clear()
    board.pod_seen(replace(WELL, **change))
    assert told == [("workers", "web")]
    assert [pod.uid for pod in pods(board)] == ["u"]
    board.pod_gone("u")
    assert told == [("workers", "web")] * 2
    assert pods(board) == ()


def test_of_a_pod_from_the_api_server_deaths_and_eviction_are_read(board: Board) -> None:
    watch = PodWatch(
        cast("ApiClient", None), board, namespace="ns", synced=lambda: None, tell=lambda _pool, _uids: None
    )
    labels = {
        "workerpool.dev/pool": "web",
        "workerpool.dev/version": "v",
        "workerpool.dev/revision": "r",
        "workerpool.dev/place": "abc123",
    }
    watch._take(
        {
            "metadata": {"name": "p", "uid": "u", "labels": labels},
            "status": {
                "conditions": [{"type": "DisruptionTarget", "status": "True"}],
                "containerStatuses": [container(1, running={})],
            },
        }
    )
    (told,) = pods(board)
    assert told.model_copy(update={"unheard_seconds": None}) == PodReport(
        uid="u",
        version="v",
        placed=False,
        ready=False,
        crashes=1,
        evicted=True,
        deployment="web-v-r-abc123",
    )


def test_a_collector_of_before_says_nothing_of_pods() -> None:
    assert decode_up('{"type": "workers", "pool": "web", "workers": []}') == Workers(pool="web", workers=())
