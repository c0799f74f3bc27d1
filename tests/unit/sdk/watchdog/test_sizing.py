"""The hint of how many jobs at a time a lane's cores could do."""

import time
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from workerpool import Job
from workerpool.runtime.lanes import Handler, Kind, Lane
from workerpool.runtime.lanes.io import IoLane
from workerpool.runtime.lanes.thread import ThreadLane
from workerpool.runtime.stations import Station
from workerpool.runtime.watchdog.sizing import ENOUGH, Sizing
from workerpool.telemetry.metrics import LaneMetrics


class Scene:
    """A worker whose time and CPU are told."""

    def __init__(self, kind: Kind = Kind.IO, *, cores: int = 4, slots: int = 10) -> None:
        self.now = self.cpu = self.in_threads = 0.0
        lane: Lane = IoLane(slots) if kind is Kind.IO else ThreadLane(slots, resized=lambda: None, log=None)
        lane.cpu_seconds = lambda: self.in_threads  # type: ignore[method-assign]
        self.station = Station(kind, lane, LaneMetrics(slots), slots=slots)
        log: Any = structlog.get_logger()
        self.sizing = Sizing(cores=cores, log=log, clock=lambda: self.now, cpu=lambda: self.cpu)
        self.look()

    def look(self) -> int:
        self.sizing.look([self.station])
        return self.station.figures.slots_hint

    def jobs(self, count: int, *, wait: float, service: float, at_a_time: int = 5) -> None:
        for _ in range(count):
            self.station.figures.processing.observe(wait + service)
        self.now += count * (wait + service) / at_a_time
        self.cpu += count * service
        if self.station.kind is Kind.THREAD:
            self.in_threads += count * service


@pytest.mark.parametrize(("kind", "hint"), [(Kind.IO, 20), (Kind.THREAD, 4 * 20)])
def test_it_is_the_cores_times_one_plus_wait_by_service(kind: Kind, hint: int) -> None:
    scene = Scene(kind)
    scene.jobs(ENOUGH, wait=0.19, service=0.01)
    with capture_logs() as logs:
        assert scene.look() == hint
    [line] = logs
    assert (line["lane"], line["hint"], line["slots"]) == (kind.value, hint, 10)
    assert (line["wait"], line["service"]) == (0.19, 0.01)


def test_what_threads_compute_is_no_service_of_the_event_loop() -> None:
    scene = Scene()
    scene.jobs(ENOUGH, wait=0.19, service=0.01)
    scene.in_threads += 100.0
    scene.cpu += 100.0
    assert scene.look() == 20


def test_too_few_jobs_say_nothing_until_there_are_more() -> None:
    scene = Scene()
    scene.jobs(ENOUGH - 1, wait=0.19, service=0.01)
    assert scene.look() == 0
    scene.jobs(1, wait=0.19, service=0.01)
    assert scene.look() == 20


def test_a_saturated_core_says_nothing() -> None:
    """Jobs wait for it: that is no time in which others could run."""
    scene = Scene()
    scene.jobs(ENOUGH, wait=0.09, service=0.01, at_a_time=9)
    assert scene.look() == 0


def test_it_follows_what_jobs_take_and_is_told_when_it_is_another() -> None:
    scene = Scene(slots=20)
    with capture_logs() as logs:
        scene.jobs(ENOUGH, wait=0.29, service=0.01)
        assert scene.look() == 30
        assert logs == [], "about what there is"
        scene.jobs(ENOUGH, wait=0.79, service=0.01)
        assert scene.look() == 80
        scene.jobs(ENOUGH, wait=0.89, service=0.01)
        assert scene.look() == 90
    assert [line["hint"] for line in logs] == [80]


async def test_the_thread_lane_knows_what_its_handlers_have_computed() -> None:
    def compute(_job: Job) -> None:
        began = time.thread_time()
        while time.thread_time() - began < 0.01:
            pass

    lane = ThreadLane(1, resized=lambda: None, log=structlog.get_logger())
    await lane.bind(Handler(compute, None, Kind.THREAD))(Job("j", "t", None, 1, "main"))
    assert 0.01 <= lane.cpu_seconds() < 0.1
    await lane.close()
