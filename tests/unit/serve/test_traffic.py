"""How fast jobs come and how long they take, as it follows from what collectors say."""

from typing import Any

import pytest
from pydantic import BaseModel

from workerpool.protocol import Counters
from workerpool_operator.domain.scaling import Traffic
from workerpool_operator.protocol import QueueSample, Samples, WorkerReport, Workers
from workerpool_operator.serve.state import Peer, StreamState

PEER = Peer(namespace="ns", pod="collector")


class Deaf:
    """A link on which nothing is sent."""

    def send(self, subject: str, message: BaseModel) -> None:
        """To nobody."""


class Stage:
    """A pool on a played clock: `arrivals` None where the broker does not count."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.state = StreamState(on_change=lambda *_: None, clock=lambda: self.now)
        self.state.attach(PEER, Deaf())
        self.waiting = 0
        self.came: int | None = 0
        self.counters = {"started": 0, "processed": 0, "failed": 0}
        self.boot = "one"
        self.run_seconds: float | None = 0.0

    def tell(self, **sample: Any) -> None:
        told = QueueSample(
            queue="main", age_seconds=0.0, waiting=self.waiting, in_flight=0, arrivals_total=self.came, **sample
        )
        self.state.receive(PEER, Samples(pool="web", samples=(told,)))

    def work(self, *, source: Any = "stream", uid: str = "u") -> None:
        said = Counters(**self.counters, run_seconds=self.run_seconds)
        report = WorkerReport(pod=uid, uid=uid, age_seconds=0.0, boot_id=self.boot, counters=said, source=source)
        self.state.receive(PEER, Workers(pool="web", workers=(report,)))

    def second(self, *, come: int, done: int, each: float = 0.5, source: Any = "stream") -> None:
        """So many jobs come, and the worker does so many."""
        self.now += 1.0
        self.waiting += come - done
        if self.came is not None:
            self.came += come
        self.counters["started"] += done
        self.counters["processed"] += done
        if self.run_seconds is not None:
            self.run_seconds += done * each
        self.work(source=source)
        self.tell()

    @property
    def traffic(self) -> Traffic:
        return self.state.view("ns", "web").traffic


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.work()
    made.tell()
    return made


def test_nothing_is_known_of_a_pool_that_nobody_has_told_of(stage: Stage) -> None:
    assert stage.state.view("ns", "other").traffic == Traffic()
    assert stage.traffic == Traffic()


@pytest.mark.parametrize("source", ["stream", "scrape"])
def test_arrivals_and_service_time_are_measured(stage: Stage, source: str) -> None:
    for _ in range(20):
        stage.second(come=10, done=8, source=source)
    assert stage.traffic.arrivals == pytest.approx(10.0)
    assert stage.traffic.service_seconds == pytest.approx(0.5)


@pytest.mark.parametrize("done", [0, 4, 10])
def test_a_broker_that_does_not_count_is_balanced_by_what_workers_begin(stage: Stage, done: int) -> None:
    stage.came = None
    for _ in range(20):
        stage.second(come=10, done=done)
    assert stage.traffic.arrivals == pytest.approx(10.0)


def test_repeated_attempts_are_work_that_comes(stage: Stage) -> None:
    """The broker counts 10 jobs a second, and each is tried twice."""
    for _ in range(20):
        stage.waiting += 10  # put back
        stage.second(come=10, done=20)
    assert stage.traffic.arrivals == pytest.approx(20.0)


def test_a_worker_that_is_not_heard_hides_no_arrivals(stage: Stage) -> None:
    for _ in range(20):
        stage.now += 1
        stage.came = (stage.came or 0) + 10
        stage.tell()
    assert stage.traffic.arrivals == pytest.approx(10.0)


def test_a_worker_that_restarts_loses_what_nobody_has_heard_and_no_more(stage: Stage) -> None:
    stage.came = None
    for _ in range(15):
        stage.second(come=10, done=10)
    stage.boot, stage.counters, stage.run_seconds = "two", dict.fromkeys(stage.counters, 0), 0.0
    for _ in range(15):
        stage.second(come=10, done=10)
    assert stage.traffic.arrivals == pytest.approx(10.0, rel=0.1)
    assert stage.traffic.service_seconds == pytest.approx(0.5)


def test_a_broker_that_was_emptied_is_counted_anew(stage: Stage) -> None:
    for _ in range(15):
        stage.second(come=10, done=10)
    stage.came = 0
    for _ in range(6):
        stage.second(come=10, done=10)
    assert stage.traffic.arrivals == pytest.approx(10.0)


def test_a_gap_in_the_readings_adds_nothing(stage: Stage) -> None:
    for _ in range(15):
        stage.second(come=10, done=10)
    stage.now += 20
    stage.state.tidy()
    for _ in range(3):
        stage.second(come=10, done=10)
    assert 0 < (stage.traffic.arrivals or 0) < 10


def test_one_queue_that_is_not_read_leaves_the_balance_as_it_was(stage: Stage) -> None:
    for _ in range(10):
        stage.second(come=10, done=10)
    before = stage.traffic
    other = QueueSample(queue="other", age_seconds=0.0, waiting=7000, in_flight=0)
    stage.state.receive(PEER, Samples(pool="web", samples=(other,)))
    assert stage.traffic.arrivals is None, "a queue that appears says nothing of what came"
    for _ in range(40):
        stage.second(come=10, done=10)
    assert stage.traffic.arrivals is None, "and one that is not read any more may have had any"
    assert before.arrivals == pytest.approx(10.0)


def test_words_that_cannot_be_counts_are_ignored(stage: Stage) -> None:
    for _ in range(10):
        stage.second(come=10, done=10)
    known = stage.traffic
    for nonsense in (-5.0, 1e300):
        stage.now += 1
        stage.run_seconds = nonsense
        stage.work()
    assert stage.traffic == known


def test_workers_that_are_gone_are_forgotten_and_the_figures_stay(stage: Stage) -> None:
    for _ in range(10):
        stage.second(come=10, done=10)
    for _ in range(70):
        stage.now += 1
        stage.tell()
    stage.state.tidy()
    assert stage.traffic.service_seconds == pytest.approx(0.5)
    assert stage.traffic.arrivals == 0.0
