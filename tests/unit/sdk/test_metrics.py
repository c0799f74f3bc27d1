"""The figures as Prometheus reads them."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from workerpool import Job, Worker
from workerpool.broker import DeathReason
from workerpool.telemetry import exposition, process
from workerpool.telemetry.metrics import FailureReason, LockMetrics, Metrics, current
from workerpool.testing import Simulation, simulate


def rendered(metrics: Metrics) -> dict[str, float]:
    families = list(text_string_to_metric_families(exposition.render(metrics).decode()))
    assert all(family.documentation for family in families)
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_series_is_there_from_the_beginning() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 3})
    before = rendered(metrics)
    metrics.lanes["io"].failed[FailureReason.TIMEOUT] += 1
    metrics.lanes["io"].processing.observe(0.3)
    metrics.lanes["io"].waits["high"].observe(99)
    metrics.shed[DeathReason.SHED] += 1
    assert rendered(metrics).keys() == before.keys()


def test_hostile_names_stay_labels() -> None:
    name = 'p"} 1\nevil{a="b'
    metrics = Metrics(pool=name, version="v\\", slots={"io": 1})
    assert all("evil" not in series.split("[")[0] for series in rendered(metrics))


def test_a_bucket_holds_what_is_at_most_its_bound() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1})
    for value in (0.005, 0.01, 0.1, 0.2, 700):
        metrics.lanes["io"].waits["low"].observe(value)
    [family] = [family for family in exposition.families(metrics) if family.name == "job_wait_seconds"]
    low = [sample for sample in family.samples if sample.labels["priority"] == "low"]
    values = {sample.labels.get("le", sample.name): sample.value for sample in low}
    assert values == {
        "0.01": 2,
        "0.1": 3,
        "0.5": 4,
        "1.0": 4,
        "5.0": 4,
        "30.0": 4,
        "120.0": 4,
        "600.0": 4,
        "+Inf": 5,
        "job_wait_seconds_count": 5,
        "job_wait_seconds_sum": 700.315,
    }


def test_a_priority_that_nobody_knows_counts_as_normal_as_it_runs() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1})
    metrics.lanes["io"].waits["urgent!"].observe(1.0)
    assert set(metrics.lanes["io"].waits) == {"high", "normal", "low"}
    assert sum(metrics.lanes["io"].waits["normal"].counts) == 1


def test_what_waits_for_an_endpoint_is_backpressure() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1})
    metrics.locks["crm"] = LockMetrics()
    metrics.locks["crm"].waited = 3
    metrics.locks["crm"].wait.observe(0.2)
    metrics.lanes["io"].refused = 2
    figures = rendered(metrics)
    worker = "('pool', 'p'), ('version', 'v')]"
    assert figures[f"backpressure_events_total[('endpoint', 'crm'), ('lane', ''), {worker}"] == 3
    assert figures[f"backpressure_events_total[('endpoint', ''), ('lane', 'io'), {worker}"] == 2
    assert figures[f"worker_lock_wait_seconds_sum[('lock', 'crm'), {worker}"] == 0.2


def test_waits_for_a_cache_are_told_beside_those_for_endpoints() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1})
    metrics.locks["rates"] = LockMetrics()
    metrics.cache("rates").observe(0.3)
    assert metrics.cache("rates") is metrics.cache("rates")
    figures = rendered(metrics)
    worker = "('pool', 'p'), ('version', 'v')]"
    assert figures[f"worker_lock_wait_seconds_sum[('lock', 'cache:rates'), {worker}"] == 0.3
    assert figures[f"worker_lock_wait_seconds_sum[('lock', 'rates'), {worker}"] == 0
    assert not any("'endpoint', 'cache" in series for series in figures)


def test_lifespan_and_handlers_find_the_metrics_of_their_worker() -> None:
    found: list[Metrics | None] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        found.append(current())
        yield

    worker = Worker(lifespan=lifespan)

    @worker.job("look", timeout=5)
    async def look(job: Job) -> None:
        found.append(current())

    async def scenario(simulation: Simulation) -> None:
        process = simulation.start(worker)
        await simulation.queue.enqueue("look")
        await simulation.finished()
        assert found == [process.metrics, process.metrics]
        assert current() is None, "that of nobody else"

    simulate(scenario)


def test_the_report_counts_the_jobs_of_all_lanes() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1, "cpu": 2})
    io, cpu = metrics.lanes["io"], metrics.lanes["cpu"]
    io.started, io.first_failures, cpu.started, metrics.handed_back = 5, 2, 3, 1
    io.failed[FailureReason.ERROR] = 2
    cpu.failed[FailureReason.TIMEOUT] = 1
    cpu.refused = 3
    io.first_slow, cpu.first_slow = 4, 5
    io.dead_lettered, metrics.shed[DeathReason.EXPIRED] = 1, 6
    io.processing.observe(0.5)
    cpu.processing.observe(2.0)
    counters = metrics.totals()
    assert (counters.run_seconds, counters.first_slow, counters.first_late) == (2.5, 9, None)
    cpu.first_late = 3
    assert metrics.totals().first_late == 3
    assert counters.dead_lettered == 7, "a worker that only gets rid of jobs is at work too"
    assert (counters.started, counters.failed, counters.first_failures, counters.handed_back) == (8, 3, 2, 4)


def test_each_lane_has_its_own_series() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 4, "cpu": 2})
    metrics.lanes["cpu"].processed = 7
    figures = rendered(metrics)
    labels = "[('lane', '{}'), ('pool', 'p'), ('version', 'v')]"
    assert figures["worker_slots" + labels.format("io")] == 4
    assert figures["worker_slots" + labels.format("cpu")] == 2
    assert figures["jobs_processed_total" + labels.format("io")] == 0
    assert figures["jobs_processed_total" + labels.format("cpu")] == 7


def test_the_start_counts_from_when_the_process_began() -> None:
    """Not from when this package was loaded: what the program loads before it is most of a start."""
    began = time.monotonic()
    code = "from workerpool.telemetry import process; print(process.age_seconds())"
    age = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    tick = 0.01
    assert 0 < age <= time.monotonic() - began + tick


def test_cpu_is_of_the_time_since_the_heartbeat_before() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1})
    metrics.ready()
    assert (metrics.cpu_cores, metrics.cpu_percent) == (None, 0.0)
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass
    metrics.heartbeat()
    assert 0 < metrics.cpu_percent < 1000
    assert metrics.memory_bytes > 1_000_000
    assert metrics.memory_bytes == pytest.approx(process.resident_bytes(), rel=0.5), "the kernel may take pages back"
