"""What is said once and held: fresh as long as its collector vouches for it, and not a moment longer."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from workerpool.protocol import Counters
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS
from workerpool_operator.protocol import (
    Holds,
    PoolConfig,
    QueueSample,
    ReadNow,
    SampleError,
    Samples,
    Unheld,
    WorkerReport,
    Workers,
    decode_up,
)
from workerpool_operator.serve.state import RENEW_SECONDS, SILENT_SECONDS, Peer, StreamState
from workerpool_operator.serve.values import ValueBoard

A = Peer(namespace="ns", pod="collector-a")
B = Peer(namespace="ns", pod="collector-b")
DAY = 86_400.0


class Link:
    def send(self, subject: str, message: BaseModel) -> None:
        """To nobody."""


class Stage:
    """One pool, its collectors, and a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.changes: list[str] = []
        self.values = ValueBoard(clock=lambda: self.now)
        self.state = StreamState(
            on_change=lambda _, pool: self.changes.append(pool), readings=self.values, clock=lambda: self.now
        )
        self.link = Link()
        self.state.attach(A, self.link)

    def worker(self, *, by: Peer = A, held: bool = True, age: float = 0.0, **more: Any) -> None:
        report = WorkerReport(pod="p", uid="u", slots=2, age_seconds=age, held=held, **more)
        self.state.receive(by, Workers(pool="web", workers=(report,)))

    def queue(self, waiting: int | None = 0, *, by: Peer = A, held: bool = True, **more: Any) -> None:
        sample = QueueSample(queue="main", age_seconds=0.0, waiting=waiting, in_flight=0, held=held, **more)
        self.state.receive(by, Samples(pool="web", samples=(replace(sample, poll_seconds=30.0),)))

    def holds(self, *, by: Peer = A, age: float = 0.0) -> None:
        self.state.receive(by, Holds(clock=self.now - 700.0, age_seconds=age))

    def rest(self, seconds: float, *, by: Peer = A) -> None:
        """Nothing happens for so long, and that is told every 2 s."""
        until = self.now + seconds
        while self.now < until:
            self.now += 2.0
            self.holds(by=by)

    @property
    def report(self) -> WorkerReport:
        (found,) = self.state.view("ns", "web").workers
        return found

    @property
    def sample(self) -> QueueSample:
        (found,) = self.state.view("ns", "web").samples
        return found


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_what_is_held_stays_as_fresh_as_it_is_vouched_for(stage: Stage) -> None:
    """A day without a word of the worker itself, or of the queue."""
    stage.worker()
    stage.queue()
    stage.now += DAY
    stage.holds(age=9.0)
    assert (stage.report.age_seconds, stage.sample.age_seconds) == (9.0, 9.0)


def test_that_nothing_is_new_is_no_news(stage: Stage) -> None:
    """No plan is made of it."""
    stage.worker()
    stage.queue()
    stage.changes.clear()
    stage.rest(600.0)
    assert stage.changes == []


def test_a_collector_that_says_nothing_makes_all_of_it_old(stage: Stage) -> None:
    """Within what a report is fresh for, from the moment up to which it vouched."""
    stage.worker()
    stage.rest(100.0)
    stage.now += REPORT_FRESH_SECONDS + 0.1
    assert stage.report.age_seconds > REPORT_FRESH_SECONDS


def test_a_worker_that_is_told_as_late_ages_by_itself(stage: Stage) -> None:
    """Though its collector goes on to vouch for all the others."""
    stage.worker()
    stage.rest(100.0)
    stage.worker(held=False, age=12.5)
    stage.rest(4.0)
    assert stage.report.age_seconds == 16.5


def test_a_worker_that_is_heard_again_is_held_again(stage: Stage) -> None:
    """From its first word on."""
    stage.worker(held=False, age=12.5)
    stage.rest(4.0)
    stage.worker()
    stage.rest(100.0)
    assert stage.report.age_seconds == 0.0


def test_a_worker_that_has_lost_its_stream_is_never_held(stage: Stage) -> None:
    """Whatever its collector says."""
    stage.worker(connected=False)
    stage.rest(30.0)
    assert stage.report.age_seconds == 30.0


def test_what_was_said_on_an_earlier_connection_is_held_no_more(stage: Stage) -> None:
    """The collector says everything anew on the next one; what it does not say, it does not vouch for."""
    stage.worker()
    stage.rest(10.0)
    stage.state.detach(A, stage.link)
    stage.state.attach(A, Link())
    stage.rest(20.0)
    assert stage.report.age_seconds == 20.0
    stage.worker()
    stage.rest(20.0)
    assert stage.report.age_seconds == 0.0


def test_a_next_connection_vouches_for_nothing_that_came_before_it_although_the_last_one_never_ended(
    stage: Stage,
) -> None:
    """As after a cut that this side has not noticed yet."""
    stage.worker()
    stage.rest(10.0)
    stage.state.attach(A, Link())
    stage.rest(20.0)
    assert stage.report.age_seconds == 20.0


def test_a_connection_that_was_replaced_is_not_listened_to(stage: Stage) -> None:
    """What is left in it was said before what came on the next one."""
    later = Link()
    assert stage.state.listens(A, stage.link)
    stage.state.attach(A, later)
    assert not stage.state.listens(A, stage.link)
    assert stage.state.listens(A, later)
    assert stage.state.listens(B, stage.link)


def test_one_collector_vouches_for_nothing_that_another_said(stage: Stage) -> None:
    """Nor does it make the other's word old."""
    stage.worker(by=A)
    stage.worker(by=B, connected=False)
    stage.rest(30.0, by=B)
    assert stage.report.age_seconds == 30.0


@pytest.mark.parametrize(("what", "ages"), [("all", (20, 20)), ("samples", (0, 20)), ("workers", (20, 0))])
def test_what_is_let_go_ages_from_then_on(stage: Stage, what: Any, ages: tuple[float, float]) -> None:
    """Worker and queue: a pool that is gone, or of which the collector cannot tell any more."""
    stage.worker()
    stage.queue()
    stage.rest(10.0)
    stage.state.receive(A, Unheld(pool="web", what=what))
    stage.state.receive(A, Unheld(pool="never heard of", what=what))
    stage.rest(20.0)
    assert (stage.report.age_seconds, stage.sample.age_seconds) == ages


def test_a_queue_that_is_not_among_the_readings_is_held_no_more(stage: Stage) -> None:
    """It was taken out of the pool. Should it come back, its old reading is old."""
    stage.queue()
    stage.rest(10.0)
    stage.state.receive(A, Samples(pool="web", samples=()))
    stage.rest(20.0)
    assert stage.sample.age_seconds == 20.0


def test_a_pool_at_rest_is_not_forgotten_and_one_that_is_let_go_is(stage: Stage) -> None:
    """On a standby nobody else says that a pool is gone."""
    stage.queue()
    stage.rest(2 * SILENT_SECONDS)
    stage.state.tidy()
    assert stage.sample.waiting == 0
    stage.state.receive(A, Unheld(pool="web"))
    stage.rest(SILENT_SECONDS + 2.0)
    stage.state.tidy()
    assert not stage.state.view("ns", "web").samples


def test_the_reading_of_a_queue_at_rest_counts_for_hpas_as_long_as_it_is_vouched_for(stage: Stage) -> None:
    """And lapses when its collector falls silent."""
    stage.values.begin()
    stage.queue()
    stage.values.publish("ns", "web", 3, queues=("main",))
    for _ in range(20):
        stage.rest(RENEW_SECONDS)
        stage.state.tidy()
    assert stage.values.get("ns", "web") is not None
    for _ in range(4):
        stage.now += RENEW_SECONDS
        stage.state.tidy()
    assert stage.values.get("ns", "web") is None


def test_a_queue_that_cannot_be_read_is_told_and_stays_so(stage: Stage) -> None:
    """An error is held as a reading is; it makes no value of any metric fresh."""
    stage.queue(None, error=SampleError.UNREACHABLE)
    stage.rest(60.0)
    stage.state.tidy()
    assert (stage.sample.error, stage.sample.age_seconds) == (SampleError.UNREACHABLE, 0.0)
    assert stage.state.view("ns", "web").waiting == {}


def test_a_worker_that_rests_gathers_idle_time_all_along(stage: Stage) -> None:
    """As if it had said the same every second, whenever somebody looks."""
    stage.worker()
    stage.rest(60.0)
    conduct = stage.state.view("ns", "web").conducts["u"]
    assert (conduct.idle, conduct.heard_at) == (60.0, stage.now)
    stage.rest(40.0)
    stage.worker(counters=Counters(started=1))
    conduct = stage.state.view("ns", "web").conducts["u"]
    assert (conduct.idle, conduct.moved_at) == (0.0, stage.now)


def test_what_another_collector_heard_since_is_not_overruled_by_what_is_held(stage: Stage) -> None:
    """The worker has moved, and its first collector does not know it yet."""
    stage.worker(by=A)
    stage.now += 5.0
    stage.worker(by=B, in_flight=2)
    stage.now += 5.0
    stage.holds(by=A, age=7.0)
    view = stage.state.view("ns", "web")
    assert view.conducts["u"].last.full


def test_evidence_of_the_time_before_a_cut_connection_counts_and_of_the_cut_does_not(stage: Stage) -> None:
    """It was held until then; of the minute without a connection nothing is known."""
    stage.worker()
    stage.rest(30.0)
    stage.state.detach(A, stage.link)
    stage.now += 59.0
    stage.state.attach(A, Link())
    stage.worker()
    conduct = stage.state.view("ns", "web").conducts["u"]
    assert (conduct.since, conduct.idle) == (1000.0, 0.0)


def test_a_queue_at_rest_is_known_to_be_empty_until_jobs_come(stage: Stage) -> None:
    """They wait since they were seen, and count as having come since the last moment without them."""
    stage.queue(arrivals_total=7)
    stage.rest(600.0)
    assert stage.state.view("ns", "web").waiting["main"].read_at == stage.now
    stage.now += 1.0
    stage.queue(5, held=False, arrivals_total=20)
    found = stage.state.view("ns", "web").waiting["main"]
    assert (found.since, found.drawn_at) == (stage.now, stage.now)


def test_a_reading_of_another_collector_is_not_made_to_last_by_what_is_held(stage: Stage) -> None:
    """The one that is held says that the queue was empty at a later moment: so it was."""
    stage.queue(0, by=A)
    stage.queue(4, by=B, held=False)
    stage.rest(10.0, by=A)
    assert stage.state.view("ns", "web").waiting["main"].last.waiting == 0


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        ('{"type": "workers", "pool": "web", "workers": [{"pod": 1}]}', Unheld(pool="web", what="workers")),
        ('{"type": "samples", "pool": "web", "samples": 7}', Unheld(pool="web", what="samples")),
        ('{"type": "news of another version", "pool": "web"}', None),
        ('{"type": "workers"}', None),
        ("no message", None),
    ],
)
def test_news_that_cannot_be_read_ends_what_was_held(frame: str, found: Unheld | None) -> None:
    """Something is otherwise than it was; of what this version never heard of, nothing was."""
    assert decode_up(frame) == found


def test_what_nobody_has_said_is_asked_for_until_it_is(stage: Stage) -> None:
    """A pool that was forgotten here is told of no more by itself: to its collector nothing has changed."""
    asked: list[BaseModel] = []

    class Listening(Link):
        def send(self, subject: str, message: BaseModel) -> None:
            asked.extend([message] if isinstance(message, ReadNow) else [])

    def asks() -> int:
        asked.clear()
        stage.state.ask()
        return len(asked)

    stage.state.set_role(leader=True, epoch=3)
    stage.state.send_config("ns", (PoolConfig(name="web", uid="1", queues=({"name": "main"},)),))
    stage.state.attach(A, Listening())
    assert asks() == 1
    stage.worker()
    assert asks() == 1
    stage.queue()
    assert asks() == 0
    stage.state.forget("ns", "web")
    assert asks() == 1
