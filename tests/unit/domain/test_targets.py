"""What each target asks for, by the worked examples of the reference, and what it says when it cannot."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling import (
    Decision,
    Fleet,
    History,
    Inputs,
    Report,
    Rules,
    Sample,
    Traffic,
    decide,
    muster,
)
from workerpool_operator.domain.scaling.terms import MOST_PODS

RULES = Rules(
    manual_replicas=None,
    min_replicas=0,
    max_replicas=500,
    cooldown_seconds=0,
    slots=1,
    targets=Targets(),
)
FLOW = Traffic(arrivals=10.0, service_seconds=0.5)


def ask(waiting: int, running: int = 0, *, current: int = 0, slots: int = 1, **more: Any) -> Decision:
    targets = Targets(**more.pop("targets", {"queue_depth": 10**9}))
    rules = replace(RULES, slots=slots, targets=targets, cpu_request=more.pop("cpu_request", None))
    found = Sample(queue="main", waiting=waiting, in_flight=running, age=0.1, poll_seconds=1.0)
    inputs = Inputs(
        rules=rules,
        queues=("main",),
        samples=(found,),
        current=current,
        history=History(since=0.0, active_at=0.0),
        now=1000.0,
    )
    return decide(replace(inputs, **more))


def terms(decision: Decision) -> dict[str, int]:
    return {term.name: term.value for term in decision.terms}


def silent(decision: Decision) -> dict[str, str]:
    return {one.name: one.why for one in decision.silent}


# Little


def test_little_s_law_is_a_floor_whatever_the_targets() -> None:
    decision = ask(0, 5, traffic=FLOW)
    assert (terms(decision)["little"], decision.desired) == (5, 5)


def test_slots_share_the_load_as_they_are_measured() -> None:
    assert terms(ask(0, 5, traffic=FLOW, slots=20))["little"] == 1
    assert terms(ask(0, 5, traffic=FLOW, slots=20, fleet=Fleet(heard=2, slots=2)))["little"] == 3


def test_the_error_of_floating_point_is_no_worker() -> None:
    assert terms(ask(1, traffic=Traffic(arrivals=0.1 * 30, service_seconds=1.0)))["little"] == 3


def test_little_keeps_no_last_worker_that_has_nothing_to_do() -> None:
    assert ask(0, current=1, traffic=Traffic(arrivals=1.0, service_seconds=0.5)).desired == 0
    assert ask(0, current=3, traffic=Traffic(arrivals=4.0, service_seconds=0.5)).desired == 2


def test_little_is_silent_without_figures_and_holds_nothing_by_that() -> None:
    unknown = ask(5, current=9, traffic=Traffic(arrivals=10.0), targets={"queue_depth_per_replica": 5})
    assert "no job has ended" in silent(unknown)["little"]
    assert "how fast jobs come" in silent(ask(5, traffic=Traffic(service_seconds=0.5)))["little"]
    assert (unknown.desired, unknown.limited_by) == (1, ())


# Latency


def test_latency_does_what_waits_in_time_together_with_what_comes() -> None:
    decision = ask(300, traffic=FLOW, targets={"job_latency_seconds": 30})
    assert (terms(decision)["jobLatencySeconds"], decision.desired) == (10, 10)


def test_latency_keeps_a_worker_for_any_job_and_none_for_no_job() -> None:
    rare = Traffic(arrivals=0.0, service_seconds=0.001)
    assert ask(0, 1, traffic=rare, targets={"job_latency_seconds": 30}).desired == 1
    assert ask(0, current=1, traffic=rare, targets={"job_latency_seconds": 30}).desired == 0


def test_latency_that_cannot_say_holds_the_size_and_the_default_target_wakes_the_pool() -> None:
    nothing: dict[str, Any] = {"traffic": Traffic(), "targets": {"job_latency_seconds": 30}}
    woken = ask(95, **nothing)
    assert (woken.desired, terms(woken)) == (5, {"queueDepthPerReplica": 5})
    assert "how long jobs take" in silent(woken)["jobLatencySeconds"]
    held = ask(5, current=7, **nothing)
    assert (held.desired, held.limited_by) == (7, (Limiter.UNKNOWN,))
    blind = ask(5, current=7, traffic=Traffic(service_seconds=1.0), targets={"job_latency_seconds": 30})
    assert (blind.desired, "how fast" in silent(blind)["jobLatencySeconds"]) == (7, True)


def test_an_empty_pool_needs_nobody_whatever_its_targets_cannot_say() -> None:
    assert ask(0, current=7, targets={"job_latency_seconds": 30}).desired == 0


def test_a_target_that_can_say_speaks_for_one_that_cannot() -> None:
    decision = ask(40, targets={"job_latency_seconds": 30, "queue_depth": 10})
    assert terms(decision) == {"queueDepth": 4}


# Utilization


def test_utilization_leaves_the_wanted_share_of_slots_free() -> None:
    busy = Fleet(heard=3, busy=60, slots=20)
    assert ask(0, 60, current=3, fleet=busy, targets={"utilization": "0.75"}).desired == 4


def test_workers_that_have_not_been_heard_neither_add_nor_take_away() -> None:
    busy = Fleet(heard=3, busy=60, slots=20)
    for current, desired in ((4, 4), (6, 6), (7, 7)):
        assert ask(0, 60, current=current, fleet=busy, targets={"utilization": "0.75"}).desired == desired
    idle = Fleet(heard=6, busy=15, slots=20)
    assert ask(0, 15, current=8, fleet=idle, targets={"utilization": 1}).desired == 3


def test_utilization_wakes_a_pool_and_is_silent_when_nobody_reports() -> None:
    assert ask(9, targets={"utilization": "0.75"}).desired == 1
    deaf = ask(9, 9, current=4, targets={"utilization": "0.75"})
    assert (deaf.desired, "no worker reports" in silent(deaf)["utilization"]) == (4, True)


# CPU


def test_cpu_is_judged_by_what_the_pods_request() -> None:
    fleet = Fleet(heard=4, cpu_heard=4, cpu_cores=4 * 0.9 * 0.5)
    decision = ask(0, 4, current=4, fleet=fleet, cpu_request=0.5, targets={"cpu_utilization": "0.7"})
    assert decision.desired == 6


def test_cpu_is_silent_without_a_request_or_a_figure() -> None:
    targets = {"cpu_utilization": "0.7"}
    assert "requests.cpu" in silent(ask(1, current=1, targets=targets))["cpuUtilization"]
    mute = ask(1, current=1, targets=targets, cpu_request=1.0, fleet=Fleet(heard=1, slots=1))
    assert "no worker reports" in silent(mute)["cpuUtilization"]
    assert ask(1, targets=targets, cpu_request=1.0).desired == 1


# Together


def test_figures_that_change_by_themselves_are_looked_at_again() -> None:
    assert ask(0, 5, current=5, traffic=FLOW).look_again == 15.0
    assert ask(0, current=0).look_again is None, "nothing comes: nothing to look at"
    assert ask(0, current=2, targets={"utilization": "0.5"}, fleet=Fleet(heard=2)).look_again == 15.0


def test_what_is_down_calls_for_no_workers() -> None:
    down = Fleet(heard=4, slots=1, tripped=2)
    held = ask(500, 0, current=4, fleet=down, traffic=FLOW, targets={"queue_depth_per_replica": 20})
    assert (held.desired, held.limited_by) == (4, (Limiter.DOWNSTREAM,))
    one = replace(down, tripped=1)
    assert ask(500, current=4, fleet=one, targets={"queue_depth_per_replica": 20}).desired == 25
    woken = ask(500, current=0, fleet=replace(down, heard=1, tripped=1), targets={"queue_depth_per_replica": 20})
    assert woken.desired == 1, "one finds out when it is back"
    assert ask(20, current=4, fleet=down, targets={"queue_depth_per_replica": 20}).desired == 1, "fewer may do"


@given(
    waiting=st.integers(0, 2**62),
    arrivals=st.floats(0, 1e300) | st.none(),
    seconds=st.floats(0, 1e300) | st.none(),
    busy=st.integers(0, 2**62),
    current=st.integers(0, 500),
)
def test_nonsense_asks_for_no_more_than_there_may_be(
    waiting: int, arrivals: float | None, seconds: float | None, busy: int, current: int
) -> None:
    decision = ask(
        waiting,
        current=current,
        traffic=Traffic(arrivals=arrivals, service_seconds=seconds),
        fleet=Fleet(heard=1, busy=busy, slots=1, cpu_heard=1, cpu_cores=1e300),
        cpu_request=1e-9,
        targets={
            "queue_depth": 1,
            "queue_depth_per_replica": 1,
            "job_latency_seconds": 1,
            "utilization": "0.01",
            "cpu_utilization": "0.01",
        },
    )
    assert 0 <= decision.desired <= 500
    assert all(0 <= term.value <= MOST_PODS for term in decision.terms)


def test_a_number_beyond_all_measure_is_a_large_one() -> None:
    assert ask(10**400, 10**400, targets={"queue_depth_per_replica": 1}).desired == 500


# The fleet


def report(uid: str, **more: Any) -> Report:
    base = Report(uid=uid, age=0.0, in_flight=0, fence="", fenceable=True, connected=True)
    return replace(base, **more)


def test_the_fleet_is_those_who_were_heard_of_late_and_stay() -> None:
    fleet = muster(
        [
            report("a", in_flight=3, slots=2, most_slots=4, cpu_cores=0.5),
            report("b", in_flight=9, slots=4, tripped=True),
            report("old", in_flight=9, slots=4, age=99.0),
            report("leaving", in_flight=9, slots=4, draining=True),
            report("mute", in_flight=1),
        ]
    )
    assert fleet == Fleet(heard=3, busy=3 + 4 + 1, slots=4, cpu_heard=1, cpu_cores=0.5, tripped=1)
    assert muster([]) == Fleet()
    boastful = muster([report("a", in_flight=10**400, slots=10**400)])
    assert (boastful.busy, boastful.slots) == (1_000_000, 1_000_000)


@pytest.mark.parametrize(("heard", "tripped", "down"), [(0, 0, False), (3, 1, False), (2, 1, True), (1, 1, True)])
def test_half_of_the_workers_have_to_find_it_down(heard: int, tripped: int, down: bool) -> None:  # noqa: FBT001
    assert Fleet(heard=heard, tripped=tripped).downstream_is_down is down
