"""What a size follows from, as it is read from the pool and what its workers say."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, memory, pool, sample, settled
from workerpool_operator.domain.scaling import History, Report, Traffic
from workerpool_operator.domain.size import size_of


def report(uid: str, **more: Any) -> Report:
    base = Report(uid=uid, age=0.0, in_flight=0, fence="", fenceable=True, connected=True)
    return replace(base, **more)


def quiet(**scaling: Any) -> dict[str, Any]:
    return {"cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}} | scaling


def test_what_is_measured_reaches_the_decision() -> None:
    web = pool(scaling=quiet(targets={"jobLatencySeconds": 30}), worker={"image": "web:1", "maxWorkers": 1})
    seen = settled(web, 1, samples=(sample(300),), traffic=Traffic(arrivals=10.0, service_seconds=0.5))
    assert size_of(seen).size == 10


def test_a_limit_that_workers_found_themselves_makes_no_pool_grow() -> None:
    web = pool(scaling=quiet(targets={"jobLatencySeconds": 30}))
    slowed = {name: report(name, slots=2, most_slots=20) for name in "ab"}
    seen = settled(web, 2, samples=(sample(300),), traffic=Traffic(arrivals=10.0, service_seconds=2.0), reports=slowed)
    assert size_of(seen).size == 2


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        ({"requests": {"cpu": "500m"}}, 6),
        ({"limits": {"cpu": "500m"}}, 6),
        ({"requests": {"cpu": 1}, "limits": {"cpu": "500m"}}, 3),
        ({"requests": {"memory": "1Gi"}}, 4),
        ({}, 4),
    ],
)
def test_cpu_is_judged_by_what_the_pod_requests(resources: dict[str, Any], size: int) -> None:
    """Without that, nothing is taken away: four stay."""
    web = pool(scaling=quiet(targets={"cpuUtilization": "0.7"}), worker={"image": "web:1", "resources": resources})
    busy = {name: report(name, cpu_cores=0.45, in_flight=1) for name in "abcd"}
    assert size_of(settled(web, 4, samples=(sample(0, 4),), reports=busy)).size == size


def test_a_request_that_is_no_amount_is_none() -> None:
    scaling = quiet(targets={"cpuUtilization": "0.7"})
    seen = settled(pool(scaling=scaling), 4, samples=(sample(0, 4),), reports={"a": report("a", cpu_cores=9.0)})
    bad = pool(scaling=scaling, worker={"image": "web:1", "resources": {"requests": {"cpu": "half"}}})
    assert size_of(replace(seen, pool=bad)).size == 4


def test_the_pool_s_limits_reach_the_decision() -> None:
    def size(waiting: int, current: int, *, delivery: dict[str, Any] | None = None, **scaling: Any) -> int:
        worker = {"image": "web:1", "maxWorkers": 4}
        targets = {"queueDepthPerReplica": 1}
        web = pool(scaling=quiet(targets=targets) | scaling, worker=worker, delivery=delivery or {})
        traffic = Traffic(service_seconds=2.0)
        return size_of(settled(web, current, samples=(sample(waiting),), traffic=traffic)).size

    assert size(40, 2, scaleUp={"maxPodsPerMinute": 3}) == 5
    assert size(40, 2, scaleUp={"maxPercentPerMinute": 100}) == 4
    assert size(0, 9, scaleDown={"stabilizationSeconds": 0, "maxPodsPerMinute": 2}) == 7
    assert size(40, 2, downstreamMaxConcurrency=13) == 3
    assert size(40, 2, delivery={"rateLimitPerSecond": "2.5"}) == 2


def test_what_is_wanted_whatever_the_queues_hold_reaches_the_decision() -> None:
    def size(scaling: dict[str, Any], *, annotations: dict[str, str] | None = None, **more: Any) -> int:
        web = pool(scaling=quiet(**scaling))
        web = web.changed(metadata=web.metadata.changed(annotations=annotations or {}))
        return size_of(settled(web, 2, **more)).size

    always = {"cron": "* * * * *", "durationSeconds": 60, "minReplicas": 6}
    read = (sample(0),)
    assert size({"schedules": [always]}, samples=read) == 6
    assert size({"warmReplicas": 4}, samples=read) == 4
    assert size({}, samples=read, annotations={"workerpool.dev/force-active": "7"}) == 7
    assert size({}, samples=read, annotations={"workerpool.dev/paused": "true"}) == 2
    past = memory(history=History(since=0.0, active_at=0.0, blind_since=NOW - 200))
    assert size({"fallback": {"behavior": "Replicas", "replicas": 5}}, memory=past) == 5
    assert size({"fallback": {"behavior": "Hold", "replicas": 5}}, memory=past) == 2


def test_in_mode_hpa_nobody_else_raises_a_pool_of_which_nothing_is_known() -> None:
    scaling = quiet(mode="hpa", fallback={"behavior": "Replicas", "replicas": 5})
    past = memory(history=History(since=0.0, active_at=0.0, blind_since=NOW - 200))
    found = size_of(settled(pool(scaling=scaling, replicas=2), 2, memory=past))
    assert (found.size, found.replicas) == (5, 5)


def test_a_pool_that_is_stopped_goes_to_zero_in_every_mode_and_comes_back() -> None:
    """In mode hpa the operator writes the 0, also while no queue can be read, and wakes the pool afterwards."""

    def found(mode: str, current: int, *, suspend: bool, replicas: int, **more: Any) -> tuple[int, int | None]:
        seen = settled(pool(scaling=quiet(mode=mode), replicas=replicas, suspend=suspend), current, **more)
        size = size_of(seen)
        return size.size, size.replicas

    waiting = {"samples": (sample(60),)}
    assert found("direct", 3, suspend=True, replicas=1, **waiting) == (0, None)
    assert found("manual", 3, suspend=True, replicas=3, **waiting) == (0, None)
    assert found("manual", 0, suspend=False, replicas=3, **waiting) == (3, None)
    assert found("hpa", 3, suspend=True, replicas=3, **waiting) == (0, 0)
    assert found("hpa", 3, suspend=True, replicas=3) == (0, 0)
    size, written = found("hpa", 0, suspend=False, replicas=0, **waiting)
    assert size == written
    assert size > 0
