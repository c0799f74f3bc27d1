"""Jobs that come are counted by the bin, and only in times in which that can be known."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.unit.forecast.courses import DAY, MONDAY, WIDTH, days
from workerpool.protocol import Counters, Report
from workerpool_operator.collector.arrivals import LOOK_SECONDS, ArrivalCounter
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.protocol import CourseReport, PastArrivals, PoolConfig, Predictive, QueueSample

DAILY = Predictive(season_seconds=86_400, horizon_seconds=600)
QUEUES = ({"name": "main"},)


class Bench:
    """A counter whose time is played; it begins with a bin."""

    def __init__(self, *, predictive: Predictive | None = DAILY, queues: tuple[dict[str, str], ...] = QUEUES) -> None:
        self.now, self.wall = 1000.0, MONDAY * WIDTH
        self.told: list[tuple[str, str]] = []
        self.board = Board(announce=lambda *_, **__: None, clock=lambda: self.now)
        self.counter = ArrivalCounter(
            self.board,
            announce=lambda what, pool: self.told.append((what, pool)),
            clock=lambda: self.now,
            wall=lambda: self.wall,
        )
        self.configure(predictive=predictive, queues=queues)

    def configure(
        self, *, uid: str = "1", predictive: Predictive | None = DAILY, queues: tuple[dict[str, str], ...] = QUEUES
    ) -> None:
        self.board.configure((PoolConfig(name="web", uid=uid, queues=queues, predictive=predictive),))

    def read(self, came: int | None, *, waiting: int | None = 0, queue: str = "main") -> None:
        self.board.sampled(
            "web", QueueSample(queue=queue, age_seconds=0, waiting=waiting, in_flight=0, arrivals_total=came)
        )

    def begun(self, started: int, *, uid: str = "u", boot: str = "b") -> None:
        pod = PodInfo(
            name="p", uid=uid, pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
        )
        self.board.pod_seen(pod)
        report = Report(in_flight=0, slots=1, counters=Counters(started=started))
        state = WorkerState(pod="p", uid=uid, version="v", source="stream", boot_id=boot, report=report)
        self.board.heard("web", state)

    def looks(self, counts: Iterable[int | None]) -> None:
        """One look after each reading."""
        for came in counts:
            self.read(came, waiting=None if came is None else 0)
            self.counter.look()
            self.now, self.wall = self.now + LOOK_SECONDS, self.wall + LOOK_SECONDS

    def rates(self) -> tuple[Any, ...]:
        message = self.counter.message("web")
        assert message is not None
        return message.course.rates


BIN = int(WIDTH / LOOK_SECONDS)


def test_a_broker_that_counts_is_believed() -> None:
    """Three jobs per look of two seconds: 1.5 per second."""
    bench = Bench()
    bench.looks(3 * look for look in range(2 * BIN + 1))
    assert bench.rates() == (pytest.approx(1.5), pytest.approx(1.5))
    message = bench.counter.message("web")
    assert message is not None
    assert (message.course.first, message.rate, message.why) == (
        MONDAY,
        None,
        "jobs are counted for 10 min, and a season takes 24 h",
    )


def test_where_no_broker_counts_what_workers_begin_and_what_waits_do() -> None:
    """Begun and still waiting: both have come. What workers did before they were heard has not come now."""
    bench = Bench()
    for look in range(BIN + 1):
        bench.begun(1000 + 2 * look)
        bench.read(None, waiting=look)
        bench.counter.look()
        bench.now, bench.wall = bench.now + LOOK_SECONDS, bench.wall + LOOK_SECONDS
    assert bench.rates() == (pytest.approx(1.5, rel=0.01),)


def test_a_worker_that_is_heard_for_the_first_time_brings_no_jobs() -> None:
    """It may have begun all of its thousands long ago; so may a process that began anew."""
    bench = Bench()
    for look in range(BIN + 1):
        bench.begun(50_000, uid=f"u{look // 10}", boot=f"b{look // 5}")
        bench.looks([None] if look == 0 else [])
        bench.read(None, waiting=0)
        bench.counter.look()
        bench.now, bench.wall = bench.now + LOOK_SECONDS, bench.wall + LOOK_SECONDS
    assert bench.rates() == (0.0,)


def test_a_count_that_begins_anew_is_not_counted_across() -> None:
    """The broker was emptied: from there on it counts again."""
    bench = Bench()
    bench.looks([1_000_000 + 2 * look for look in range(BIN // 2)] + [2 * look for look in range(BIN // 2 + 1)])
    assert bench.rates() == (pytest.approx(1.0),)


def test_a_time_in_which_a_queue_cannot_be_read_is_not_counted() -> None:
    """Nobody knows how many of those that came by then came when. A bin without much is a hole."""
    bench = Bench()
    some: list[int | None] = [2 * look for look in range(BIN)]
    some[10:40] = [None] * 30
    bench.looks(some)
    bench.looks([None] * BIN)
    bench.looks([10_000 + 2 * look for look in range(BIN + 1)])
    assert bench.rates() == (pytest.approx(1.0), None, pytest.approx(1.0))


def test_a_process_that_stood_still_does_not_know_what_came_when() -> None:
    """A laptop that slept, a node that was stopped: the jump is no rush of jobs."""
    bench = Bench()
    bench.looks(2 * look for look in range(BIN - 20))
    bench.now, bench.wall = bench.now + 3600, bench.wall + 3600
    bench.looks(1_000_000 + 2 * look for look in range(2 * BIN))
    known = [rate for rate in bench.rates() if rate is not None]
    assert known
    assert all(rate == pytest.approx(1.0) for rate in known)
    assert bench.rates().count(None) >= 10


def test_all_queues_of_a_pool_count_together() -> None:
    """And while one of them is not read, nothing is known of their sum."""
    bench = Bench(queues=({"name": "main"}, {"name": "other"}))
    for look in range(BIN + 1):
        bench.read(2 * look)
        bench.read(4 * look, queue="other")
        bench.counter.look()
        bench.now, bench.wall = bench.now + LOOK_SECONDS, bench.wall + LOOK_SECONDS
    assert bench.rates() == (pytest.approx(3.0),)
    bench.looks([10_000] * BIN)
    assert len(bench.rates()) == 1


def test_a_collector_that_begins_anew_goes_on_from_what_the_operator_knows() -> None:
    """The forecast is there at once, and is told at once."""
    bench, past = Bench(), days(3, first=MONDAY - 3 * DAY)
    bench.counter.look()
    bench.told.clear()
    course = CourseReport(width_seconds=WIDTH, first=past.first, rates=past.rates)
    for _ in range(2):
        bench.counter.take(PastArrivals(epoch=1, pool="web", course=course))
    assert bench.told == [("arrivals", "web")]
    message = bench.counter.message("web")
    assert message is not None
    assert message.rate == pytest.approx(max(past.rates[place] or 0 for place in range(3)))
    assert message.course.rates == past.rates
    bench.counter.take(PastArrivals(epoch=1, pool="a pool that is gone", course=course))
    bench.counter.take(PastArrivals(epoch=1, pool="web", course=CourseReport(width_seconds=60, rates=(1.0,))))
    assert bench.rates() == past.rates


def test_a_pool_that_wants_no_forecast_is_not_counted() -> None:
    """Nor is one that wants none any more, nor one that is gone."""
    bench = Bench(predictive=None)
    bench.looks(range(BIN + 1))
    assert bench.counter.message("web") is None
    bench.configure()
    bench.looks(range(BIN + 1))
    assert bench.counter.message("web") is not None
    bench.board.configure(())
    bench.counter.look()
    assert bench.counter.message("web") is None


def test_another_horizon_keeps_what_was_counted_and_another_season_or_pool_does_not() -> None:
    """Bins of another season have another length; a pool of the same name may have other jobs."""
    bench = Bench()
    bench.looks(2 * look for look in range(BIN + 1))
    bench.configure(predictive=Predictive(season_seconds=86_400, horizon_seconds=1200))
    bench.counter.look()
    assert len(bench.rates()) == 1
    bench.configure(predictive=Predictive(season_seconds=604_800, horizon_seconds=1200))
    bench.counter.look()
    assert bench.rates() == ()
    bench.configure()
    bench.looks(2 * look for look in range(2 * BIN + 2))
    assert bench.rates() != ()
    bench.configure(uid="2")
    bench.counter.look()
    assert bench.rates() == ()
