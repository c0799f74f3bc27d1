"""Liveness by the worker's own evidence."""

import pytest

from workerpool.runtime.evidence import START_SECONDS, Evidence


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def evidence(clock: Clock) -> Evidence:
    evidence = Evidence(clock=clock)
    evidence.start(stuck_seconds=45)
    return evidence


def test_a_worker_may_take_its_time_to_start(clock: Clock) -> None:
    evidence = Evidence(clock=clock)
    clock.now += START_SECONDS
    assert evidence.problem() == ""
    evidence.start(stuck_seconds=45)
    assert evidence.problem() == "", "what it took to start is held against it"


def test_a_start_that_hangs_is_a_problem_until_it_ends(clock: Clock) -> None:
    evidence = Evidence(clock=clock)
    clock.now += START_SECONDS + 1
    assert "lifespan hang; give what they wait for a timeout" in evidence.problem()
    evidence.start(stuck_seconds=45)
    assert evidence.problem() == ""


def test_a_loop_that_does_not_turn_is_a_problem(evidence: Evidence, clock: Clock) -> None:
    clock.now += 45
    assert evidence.problem() == ""
    clock.now += 1
    assert "event loop" in evidence.problem()
    evidence.beat(unstarted_since=None)
    assert evidence.problem() == ""


def test_a_take_past_its_own_timeout_is_a_problem(evidence: Evidence, clock: Clock) -> None:
    evidence.take_began("main", wait=30)
    clock.now += 75
    evidence.beat(unstarted_since=None)
    assert evidence.problem() == ""
    clock.now += 1
    assert "queue main" in evidence.problem()
    evidence.take_ended("main")
    assert evidence.problem() == ""


def test_takes_of_several_queues_are_told_apart(evidence: Evidence, clock: Clock) -> None:
    evidence.take_began("a", wait=0)
    evidence.take_began("b", wait=0)
    evidence.take_ended("b")
    clock.now += 46
    evidence.beat(unstarted_since=None)
    assert "queue a" in evidence.problem()


def test_a_job_taken_and_not_started_is_a_problem(evidence: Evidence, clock: Clock) -> None:
    evidence.beat(unstarted_since=clock.now - 45)
    assert evidence.problem() == ""
    evidence.beat(unstarted_since=clock.now - 46)
    assert "not been started" in evidence.problem()


def test_an_idle_worker_is_well_for_ever(evidence: Evidence, clock: Clock) -> None:
    for _ in range(1000):
        clock.now += 10
        evidence.beat(unstarted_since=None)
        assert evidence.problem() == ""


@pytest.mark.parametrize(
    ("started", "draining", "ready"), [(False, False, False), (True, False, True), (True, True, False)]
)
def test_ready_means_started_and_not_draining(*, started: bool, draining: bool, ready: bool) -> None:
    evidence = Evidence()
    if started:
        evidence.start(stuck_seconds=45)
    if draining:
        evidence.drain()
    assert evidence.ready is ready
    assert evidence.starting is not (started or draining)
