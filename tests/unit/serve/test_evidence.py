"""Who consumes is gathered as it is said, whichever collector says it, and on replicas that do not lead as well."""

from typing import Any

import pytest

from workerpool.protocol import Counters
from workerpool_operator.domain.stuck import Conduct, Waiting
from workerpool_operator.protocol import LEAVING_FENCE, QueueSample, SampleError, Samples, WorkerReport, Workers
from workerpool_operator.serve.state import Peer, StreamState

A = Peer(namespace="ns", pod="collector-a")
B = Peer(namespace="ns", pod="collector-b")


class Stage:
    def __init__(self) -> None:
        self.now = 1000.0
        self.state = StreamState(on_change=lambda *_: None, clock=lambda: self.now)

    def worker(self, *, by: Peer = A, age: float = 0.0, **more: Any) -> None:
        report = WorkerReport(pod="p", uid="u", age_seconds=age, slots=2, **more)
        self.state.receive(by, Workers(pool="web", workers=(report,)))

    def queue(self, waiting: int | None, *, by: Peer = A, age: float = 0.0, **more: Any) -> None:
        sample = QueueSample(queue="main", age_seconds=age, waiting=waiting, in_flight=0, **more)
        self.state.receive(by, Samples(pool="web", samples=(sample,)))

    @property
    def conduct(self) -> Conduct:
        return self.state.view("ns", "web").conducts["u"]

    @property
    def waiting(self) -> Waiting:
        return self.state.view("ns", "web").waiting["main"]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_worker_with_room_that_begins_nothing_gathers_idle_time(stage: Stage) -> None:
    stage.worker(in_flight=1)
    stage.now += 8
    stage.worker(in_flight=1)
    assert stage.conduct.idle == 8


def test_a_report_counts_from_when_the_worker_gave_it(stage: Stage) -> None:
    stage.worker()
    stage.now += 8
    stage.worker(age=8.0)
    assert stage.conduct.idle == 0


def test_a_worker_that_has_moved_to_another_collector_is_the_same_worker(stage: Stage) -> None:
    stage.worker()
    stage.now += 5
    stage.worker(by=A, age=5.0, connected=False)
    stage.worker(by=B)
    assert stage.conduct.idle == 5


@pytest.mark.parametrize(
    "said", [{"paused": "broker: Timeout"}, {"draining": True}, {"fence": LEAVING_FENCE}, {"in_flight": 2}]
)
def test_a_worker_that_cannot_take_or_says_why_it_does_not_is_not_idle(stage: Stage, said: dict[str, Any]) -> None:
    for _ in range(3):
        stage.worker(**said)
        stage.now += 5
    assert stage.conduct.idle == 0


def test_a_worker_that_cannot_reach_one_of_its_queues_may_be_idle_for_the_others(stage: Stage) -> None:
    for _ in range(2):
        stage.now += 5
        stage.worker(troubles={"other": "BrokerUnavailable"})
    assert (stage.conduct.idle, stage.conduct.last.barred) == (5, frozenset({"other"}))


def test_the_fence_of_the_operator_holds_the_idle_time(stage: Stage) -> None:
    stage.worker()
    stage.now += 5
    stage.worker()
    for _ in range(3):
        stage.now += 5
        stage.worker(fence="1.4")
    assert stage.conduct.idle == 5


@pytest.mark.parametrize("counted", ["started", "failed", "handed_back"])
def test_any_job_that_is_taken_ends_the_idle_time_and_is_movement(stage: Stage, counted: str) -> None:
    """A malformed job is buried without being begun, and one whose lane is full goes back."""
    stage.worker()
    stage.now += 5
    stage.worker(counters=Counters(**{counted: 1}))
    assert (stage.conduct.idle, stage.conduct.moved_at) == (0, stage.now)


@pytest.mark.parametrize("said", [{"source": "scrape"}, {"connected": False}])
def test_a_worker_without_a_stream_is_unknown(stage: Stage, said: dict[str, Any]) -> None:
    stage.worker(**said)
    assert stage.state.view("ns", "web").conducts == {}


def test_jobs_wait_by_the_readings_of_all_collectors(stage: Stage) -> None:
    for by in (A, B, A, B):
        stage.queue(3, by=by)
        stage.now += 1
    assert stage.waiting.seconds(stage.now) == 3


def test_a_reading_that_failed_is_none(stage: Stage) -> None:
    stage.queue(3)
    for _ in range(8):
        stage.now += 1
        stage.queue(None, error=SampleError.UNREACHABLE)
    assert stage.waiting.seconds(stage.now) == 0


def test_a_replica_that_comes_to_lead_has_the_evidence(stage: Stage) -> None:
    stage.worker()
    stage.now += 5
    stage.worker()
    stage.state.set_role(leader=True, epoch=2)
    assert stage.conduct.idle == 5


def test_what_was_not_mentioned_for_long_is_forgotten(stage: Stage) -> None:
    stage.worker()
    stage.queue(3)
    stage.now += 61
    stage.state.receive(A, Workers(pool="web", workers=()))
    stage.state.tidy()
    assert (stage.state.view("ns", "web").conducts, stage.state.view("ns", "web").waiting) == ({}, {})


def test_a_pool_that_is_gone_leaves_no_evidence(stage: Stage) -> None:
    stage.worker()
    stage.state.forget("ns", "web")
    assert stage.state.view("ns", "web").conducts == {}


def test_a_pool_of_which_nobody_speaks_any_more_leaves_no_evidence(stage: Stage) -> None:
    stage.worker()
    stage.now += 61
    stage.state.tidy()
    assert stage.state.view("ns", "web").conducts == {}


def test_jobs_that_come_and_wait_for_their_ordering_key_were_not_drawn(stage: Stage) -> None:
    stage.queue(3, arrivals_total=3)
    stage.now += 1
    stage.queue(3, arrivals_total=5, blocked=2)
    assert stage.waiting.drawn_at is None
    stage.now += 1
    stage.queue(3, arrivals_total=5, blocked=1)
    assert stage.waiting.drawn_at == stage.now, "one was taken, and the next of its key has come up"
