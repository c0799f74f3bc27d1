"""What workers cost: which pods count, and which share of them sits idle."""

from dataclasses import replace
from typing import Any

from tests.unit.domain.builders import deployment, pool, reporting, settled
from workerpool_operator.domain.desired import hashes
from workerpool_operator.domain.scaling import Report
from workerpool_operator.domain.usage import Usage, usage

VERSION = hashes(pool()).version


def report(uid: str, in_flight: int, **more: Any) -> Report:
    base = Report(
        uid=uid, age=0.0, in_flight=in_flight, fence="", fenceable=True, connected=True, version=VERSION, slots=4
    )
    return replace(base, **more)


def used(replicas: int, *reports: Report) -> tuple[Usage, ...]:
    return usage(settled(pool(), replicas, reports={one.uid: one for one in reports}))


def test_the_free_share_of_each_workers_slots_is_idle() -> None:
    [found] = used(3, report("a", 4), report("b", 1), report("c", 0))
    assert found == Usage(version=VERSION, workers=3, idle=1.75)


def test_who_is_not_heard_is_there_and_not_idle() -> None:
    assert used(3, report("a", 0), report("b", 0, age=99.0)) == (Usage(version=VERSION, workers=3, idle=1.0),)


def test_who_does_not_say_its_slots_has_one_and_more_jobs_than_slots_are_no_less_than_none_idle() -> None:
    assert used(2, report("a", 1, slots=None), report("b", 9)) == (Usage(version=VERSION, workers=2, idle=0.0),)


def test_workers_that_stop_count_as_long_as_they_are_heard() -> None:
    web = pool()
    gone = reporting(deployment(web, 0), replicas=0)
    seen = settled(web, 0, deployments=gone, reports={"a": report("a", 2, draining=True)})
    assert usage(seen) == (Usage(version=VERSION, workers=1, idle=0.5),)


def test_a_version_without_workers_is_none_nor_is_one_that_does_not_say_its_name() -> None:
    assert used(0) == ()
    assert used(0, report("a", 0, version="")) == ()
