"""What an adapted worker has to serve as `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

NAMES: Final = (
    *("jobs_started_total", "jobs_processed_total", "jobs_failed_total", "jobs_first_attempts_total"),
    *("jobs_first_failures_total", "jobs_first_slow_total", "jobs_retried_total", "jobs_dead_lettered_total"),
    *("worker_jobs_in_progress", "worker_slots", "worker_heartbeat_unixtime", "worker_last_progress_unixtime"),
    *("job_processing_seconds_count", "worker_memory_bytes", "worker_start_seconds", "worker_drain_seconds"),
)


class UnexpectedError(Exception):
    """A worker does not keep the contract; the text says how."""


def parse(text: str, *, labels: Mapping[str, str], lane: str) -> dict[str, float]:
    """Metrics by name, those of all reasons added up. Raises UnexpectedError for other labels, or another lane."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if any(sample.labels.get(name) != value for name, value in labels.items()):
                raise UnexpectedError(f"{sample.name} has the labels {sample.labels}")
            if sample.labels.get("lane", lane) != lane:
                raise UnexpectedError(f"{sample.name} is of the lane {sample.labels['lane']}, not {lane}")
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def wrong(figures: Mapping[str, float], *, jobs: int, flaky: int, slots: int) -> dict[str, float | None]:
    """Those that are missing, or are not what they are after so many jobs, of which the `flaky` failed once."""
    expected = {
        "jobs_first_attempts_total": jobs,
        "jobs_started_total": jobs + flaky,
        "jobs_processed_total": jobs,
        "jobs_failed_total": flaky,
        "jobs_retried_total": flaky,
        "jobs_first_failures_total": flaky,
        "worker_slots": slots,
    }
    found = {name: figures.get(name) for name, value in expected.items() if figures.get(name) != value}
    return found | {name: None for name in NAMES if name not in figures}
