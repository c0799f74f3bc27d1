"""What collectors say of a pool's pods, as placement sees it."""

from typing import Any

from workerpool_operator.controller.observe import sightings
from workerpool_operator.domain.placement import Sighting
from workerpool_operator.protocol import PodReport, WorkerReport
from workerpool_operator.serve.state import PoolView


def worker(**more: Any) -> WorkerReport:
    known: dict[str, Any] = {"pod": "p", "uid": "u", "node": "n", "deployment": "web", "age_seconds": 1.0} | more
    return WorkerReport(**known)


def found(*workers: WorkerReport, pods: tuple[PodReport, ...] = ()) -> tuple[Sighting, ...]:
    return sightings(PoolView(workers=workers, pods=pods))


def test_a_worker_that_speaks_is_not_silent() -> None:
    assert found(worker()) == (Sighting(uid="u", deployment="web", node="n"),)


def test_one_that_has_lost_its_stream_or_says_nothing_over_it_is_silent_since_its_last_word() -> None:
    assert [one.silent_seconds for one in found(worker(connected=False, age_seconds=3.0))] == [3.0]
    assert [one.silent_seconds for one in found(worker(age_seconds=16.0))] == [16.0]


def test_a_pod_whose_worker_was_never_heard_is_silent_since_it_is_known() -> None:
    pod = PodReport(uid="u", deployment="web", node="n", unheard_seconds=40.0)
    assert found(pods=(pod,)) == (Sighting(uid="u", deployment="web", node="n", silent_seconds=40.0),)


def test_a_worker_that_one_collector_hears_is_no_stranger_because_another_does_not() -> None:
    pod = PodReport(uid="u", deployment="web", node="n", unheard_seconds=400.0, terminating=True)
    assert found(worker(), pods=(pod,)) == (Sighting(uid="u", deployment="web", node="n", terminating=True),)


def test_what_a_collector_of_before_says_is_not_enough() -> None:
    assert found(worker(deployment=""), pods=(PodReport(uid="v"),)) == ()
