"""The figures as Prometheus reads them."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from workerpool.telemetry.metrics import FailureReason, Histogram, Metrics


def rendered(metrics: Metrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    families = list(text_string_to_metric_families(text))
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
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.observe(value)
    family = histogram.render("h", "text", {"a": "b"})
    values = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}
    assert values == {
        ("h_bucket", "1.0"): 2,
        ("h_bucket", "2.0"): 4,
        ("h_bucket", "+Inf"): 5,
        ("h_count", None): 5,
        ("h_sum", None): 7.5,
    }


def test_counters_are_the_same_in_the_metrics_and_in_the_report() -> None:
    metrics = Metrics(pool="p", version="v", slots=1)
    metrics.started, metrics.first_failures, metrics.handed_back = 5, 2, 1
    metrics.failed[FailureReason.ERROR] = 2
    metrics.failed[FailureReason.TIMEOUT] = 1
    counters = metrics.totals()
    assert (counters.started, counters.failed, counters.first_failures, counters.handed_back) == (5, 3, 2, 1)
