"""What a worker's metrics say of its jobs."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from workerpool_operator.cli.get.figures import Figures, read


def test_a_scrape_is_summed_over_lanes_and_reasons() -> None:
    registry = CollectorRegistry()
    working = Gauge("worker_jobs_in_progress", "Jobs", ["lane"], registry=registry)
    done = Counter("jobs_processed", "Jobs", ["lane"], registry=registry)
    failed = Counter("jobs_failed", "Jobs", ["lane", "reason"], registry=registry)
    for lane, count in (("io", 2), ("cpu", 3)):
        working.labels(lane).set(count)
        done.labels(lane).inc(10 * count)
        failed.labels(lane, "raised").inc(1)
    assert read(generate_latest(registry).decode(), at=7.0) == Figures(at=7.0, in_flight=5, ended=52)


def test_a_rate_takes_two_readings_of_one_life() -> None:
    now = Figures(at=13.0, in_flight=0, ended=120)
    assert now.per_minute(None) is None
    assert now.per_minute(Figures(at=10.0, in_flight=0, ended=114)) == 120
    assert now.per_minute(Figures(at=10.0, in_flight=0, ended=300)) is None
