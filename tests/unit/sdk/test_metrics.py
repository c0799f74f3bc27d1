"""The figures as Prometheus reads them."""

import subprocess
import sys
import time

from prometheus_client.parser import text_string_to_metric_families

from workerpool.telemetry import exposition, process
from workerpool.telemetry.metrics import FailureReason, Metrics


def rendered(metrics: Metrics) -> dict[str, float]:
    families = list(text_string_to_metric_families(exposition.render(metrics).decode()))
    assert all(family.documentation for family in families)
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_series_is_there_from_the_beginning() -> None:
    metrics = Metrics(pool="p", version="v", slots=3)
    before = rendered(metrics)
    metrics.failed[FailureReason.TIMEOUT] += 1
    metrics.processing.observe(0.3)
    metrics.wait.observe(99)
    assert rendered(metrics).keys() == before.keys()


def test_hostile_names_stay_labels() -> None:
    name = 'p"} 1\nevil{a="b'
    metrics = Metrics(pool=name, version="v\\", slots=1)
    assert all("evil" not in series.split("[")[0] for series in rendered(metrics))


def test_a_bucket_holds_what_is_at_most_its_bound() -> None:
    metrics = Metrics(pool="p", version="v", slots=1)
    for value in (0.005, 0.01, 0.1, 0.2, 700):
        metrics.wait.observe(value)
    [family] = [family for family in exposition.families(metrics) if family.name == "job_wait_seconds"]
    values = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
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


def test_counters_are_the_same_in_the_metrics_and_in_the_report() -> None:
    metrics = Metrics(pool="p", version="v", slots=1)
    metrics.started, metrics.first_failures, metrics.handed_back = 5, 2, 1
    metrics.failed[FailureReason.ERROR] = 2
    metrics.failed[FailureReason.TIMEOUT] = 1
    counters = metrics.totals()
    assert (counters.started, counters.failed, counters.first_failures, counters.handed_back) == (5, 3, 2, 1)


def test_the_start_counts_from_when_the_process_began() -> None:
    """Not from when this package was loaded: what the program loads before it is most of a start."""
    began = time.monotonic()
    code = "from workerpool.telemetry import process; print(process.age_seconds())"
    age = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    tick = 0.01
    assert 0 < age <= time.monotonic() - began + tick


def test_cpu_is_of_the_time_since_the_heartbeat_before() -> None:
    metrics = Metrics(pool="p", version="v", slots=1)
    metrics.ready()
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass
    metrics.heartbeat()
    assert 0 < metrics.cpu_percent < 1000
    assert metrics.memory_bytes == process.resident_bytes() > 1_000_000
