"""What the metrics say of places."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.unit.domain.builders import memory, pool, snapshot
from tests.unit.placement.stage import WALL, Stage, placed
from workerpool_operator.api import PlacementStatus, WorkerPoolStatus
from workerpool_operator.controller.shown import failed_over, place_series
from workerpool_operator.metrics import PlaceSeries, PoolMetrics, PoolSeries, Prices

LABELS = {"namespace": "media", "pool": "thumbs"}


def settled(size: int = 4) -> Stage:
    stage = Stage(spec={"placement": placed()}, size=size)
    stage.run(10)
    return stage


def shown(stage: Stage) -> PlaceSeries:
    found = place_series(stage.snapshot(), stage.pool().status)
    assert found is not None
    return found


def failovers(stage: Stage, seconds: int) -> int:
    """How many are counted while so much time passes."""
    count = 0
    for _ in range(seconds):
        stage.now += 1
        stage.kubernetes()
        count += failed_over(stage.snapshot())
        stage.look()
    return count


def test_a_pool_that_names_no_places_has_no_series() -> None:
    """Also not at zero: there is nothing to look at."""
    assert place_series(snapshot(pool()), WorkerPoolStatus()) is None


def test_workers_are_told_by_place_and_the_lost_ones_apart() -> None:
    """Together they are what the pool has, whoever is lost."""
    stage = settled()
    assert shown(stage) == PlaceSeries(workers={"primary": 4, "secondary": 0})
    stage.lose("a1")
    stage.run(35)
    found = shown(stage)
    assert (found.workers, found.lost) == ({"primary": 0, "secondary": 4}, 4)
    assert found.since is not None


def test_of_one_place_only_that_is_told_and_workers_of_a_former_one_are() -> None:
    """Those that still run where the pool belonged before."""
    stage = settled()
    stage.spec = {"placement": {"primary": {"nodeSelector": {"zone": "b"}}}}
    found = shown(stage)
    assert (found.workers, found.lost, found.since) == ({"primary": 0, "former": 4}, 0, None)


def test_a_failover_is_counted_once_and_not_by_the_leader_after() -> None:
    """That one finds it as it is; the next one counts again."""
    stage = settled()
    stage.lose("a1")
    assert failovers(stage, 60) == 1
    stage.memory = memory()
    assert failovers(stage, 60) == 0
    stage.bring_back("a1")
    assert failovers(stage, 200) == 0
    assert stage.sizes() == {"primary": 4}
    stage.lose("a1")
    assert failovers(stage, 60) == 1


def test_since_when_is_what_the_status_says() -> None:
    """So another leader goes on with it, on its own clock."""
    stage = settled()
    stage.lose("a1")
    stage.run(35)
    seen = replace(stage.snapshot(), wall_time=WALL + timedelta(seconds=400), now=77_000.0)
    found = place_series(seen, WorkerPoolStatus(placement=PlacementStatus(active="secondary", since=WALL, lost=4)))
    assert found is not None
    assert found.since == pytest.approx(76_600.0)


@settings(max_examples=5, deadline=None)
@given(lost_for=st.integers(0, 120), size=st.integers(0, 6), after=st.integers(0, 150))
def test_what_is_told_by_place_and_what_is_lost_is_what_is_asked_for(lost_for: int, size: int, after: int) -> None:
    """At every moment of a failover and of the way back, whatever size the pool has meanwhile."""
    stage = settled()
    stage.lose("a1")
    stage.size = size
    stage.run(lost_for, step=5.0)
    stage.bring_back("a1")
    for _ in range(after // 10 + 1):
        stage.run(10, step=5.0)
        found = shown(stage)
        assert min(found.workers.values()) >= 0
        assert sum(found.workers.values()) + found.lost == sum(stage.sizes().values())
        assert (found.since is None) == (found.lost == 0)


def test_the_time_goes_on_between_two_looks() -> None:
    """The series are of the moment of the scrape."""
    now = [1_000.0]
    pools, registry = PoolMetrics(Prices(), clock=lambda: now[0]), CollectorRegistry()
    registry.register(pools)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"workerpool_{name}", LABELS | labels)

    def show(places: PlaceSeries | None) -> None:
        series = PoolSeries(desired=3, replicas=3, mode="direct", places=places)
        pools.show("media", "thumbs", series)

    show(PlaceSeries(workers={"primary": 1, "secondary": 2}, lost=2, since=900.0))
    pools.failed_over("media", "thumbs")
    pools.failed_over("media", "nobody")
    now[0] = 1_010.0
    assert value("failed_over_seconds") == 110
    assert (value("lost_workers"), value("failovers_total")) == (2, 1)
    assert value("place_workers", place="secondary") == 2
    show(PlaceSeries(workers={"primary": 3, "secondary": 0}))
    assert (value("failed_over_seconds"), value("lost_workers"), value("failovers_total")) == (0, 0, 1)
    show(None)
    assert value("failed_over_seconds") is None
    assert value("failovers_total") is None
