"""The figures of a load, for machines and for people."""

import io
from typing import Any

import pytest
from rich.console import Console

from workerpool_operator.cli.load.command import ExitCode, exit_code
from workerpool_operator.cli.load.histograms import Reading, Spread
from workerpool_operator.cli.load.ledger import Outcome
from workerpool_operator.cli.load.readers import Way
from workerpool_operator.cli.load.report import End, Report, Told
from workerpool_operator.cli.quantiles import Quantiles


def a_report(
    *, end: End = End.DONE, phases: tuple[str, ...] = (), more: dict[str, Any] | None = None, **changes: Any
) -> Report:
    figures: dict[str, Any] = {
        "enqueued": 10,
        "recorded": True,
        "done": 10,
        "dead": 0,
        "unfinished": 0,
        "duplicated": 0,
        "interrupted": 0,
        "waits": (0.1, 0.2),
        "first_starts": (0.1,),
        "work_seconds": 2.0,
    }
    outcome = Outcome(**(figures | changes))
    return Report.of(
        outcome, end=end, planned=10, lags=[0.001], retries=0, reaction=None, seconds=2.5, phases=phases, **(more or {})
    )


def text_of(report: Report) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(report.table())
    return stream.getvalue()


def test_quantiles_are_measured_values_by_nearest_rank() -> None:
    hundred = Quantiles.of([value / 100 for value in range(100, 0, -1)])
    assert (hundred.p50, hundred.p95, hundred.p99, hundred.max) == (0.5, 0.95, 0.99, 1.0)
    assert Quantiles.of([7.0]).p95 == 7.0
    assert Quantiles.of([]).p50 is None


def test_jobs_missing_at_the_end_are_lost() -> None:
    report = a_report(done=8, unfinished=2)
    assert (report.jobs_lost, report.jobs_outstanding) == (2, 0)
    assert exit_code(report) is ExitCode.JOBS_FAILED


@pytest.mark.parametrize("end", [End.STOPPED, End.TIMED_OUT, End.BROKER_LOST])
def test_jobs_missing_at_an_early_end_are_outstanding(end: End) -> None:
    report = a_report(end=end, done=8, unfinished=2)
    assert (report.jobs_lost, report.jobs_outstanding) == (0, 2)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (a_report(), ExitCode.OK),
        (a_report(dead=1), ExitCode.JOBS_FAILED),
        (a_report(interrupted=3, duplicated=3), ExitCode.OK),
        (a_report(end=End.STOPPED), ExitCode.STOPPED),
        (a_report(end=End.TIMED_OUT), ExitCode.TIMED_OUT),
        (a_report(end=End.BROKER_LOST), ExitCode.UNREACHABLE),
    ],
)
def test_exit_codes_tell_how_it_went(report: Report, code: ExitCode) -> None:
    assert exit_code(report) is code


def test_without_records_single_jobs_are_not_measured() -> None:
    report = a_report(recorded=False, done=0, unfinished=10, waits=(), first_starts=(), work_seconds=0.0)
    figures = report.to_json()
    assert figures["jobs_enqueued"] == 10
    assert figures["jobs_done"] is figures["jobs_lost"] is figures["wait_p50_seconds"] is None
    assert "not measured" in text_of(report)
    assert exit_code(report) is ExitCode.OK


def test_the_object_for_machines_is_flat_and_in_seconds() -> None:
    figures = a_report().to_json()
    assert figures["wait_p50_seconds"] == 0.1
    assert figures["throughput_per_second"] == 5.0
    assert figures["reaction_decision_p50_seconds"] is None
    assert all(value is None or isinstance(value, int | float | str) for value in figures.values())


def test_the_table_names_what_went_wrong() -> None:
    lines = [line.split() for line in text_of(a_report(done=7, unfinished=2, dead=1, interrupted=1)).splitlines()]
    assert ["lost", "2"] in lines
    assert ["dead-lettered", "1"] in lines
    assert ["interrupted", "1"] in lines


def test_each_phase_has_its_own_waits() -> None:
    report = a_report(phases=("before", "peak", "after"), waits_of={0: (0.1,), 1: (0.1, 0.4)})
    by_phase = report.to_json()["wait_by_phase"]
    assert by_phase["before"]["p99_seconds"] == 0.1
    assert (by_phase["peak"]["p50_seconds"], by_phase["peak"]["p95_seconds"]) == (0.1, 0.4)
    assert by_phase["after"]["p50_seconds"] is None
    assert "  peak " in text_of(report)
    assert "wait_by_phase" not in a_report().to_json()


UNSEEN: dict[str, Any] = {
    "recorded": False, "done": 0, "unfinished": 10, "waits": (), "first_starts": (), "work_seconds": 0.0,
}  # fmt: skip


def test_where_no_job_was_seen_the_workers_metrics_tell_of_all_together() -> None:
    """Quantiles are the upper bounds of where they lie; the table says both bounds."""
    waits, runs = Spread({0.1: 9.0, 0.5: 1.0, float("inf"): 0.0}, 1.2), Spread({0.1: 0.0, float("inf"): 10.0}, 50.0)
    told = Told(Reading(done=10.0, waits=waits, runs=runs), 5.0)
    report = a_report(**UNSEEN, more={"told": told, "by": Way.DEPTH})
    figures = report.to_json()
    assert (figures["figures_by"], figures["jobs_done"], figures["jobs_lost"]) == ("workers", 10, None)
    assert figures["throughput_per_second"] == 2.0
    assert (figures["wait_p50_seconds"], figures["wait_p95_seconds"]) == (0.1, 0.5)
    assert figures["wait_mean_seconds"] == 0.12
    assert figures["run_p50_seconds"] is None, "beyond the last bound"
    text = text_of(report)
    assert "p50 0 to 0.1 s, p95 0.1 to 0.5 s, p99 0.1 to 0.5 s, mean 0.120 s" in text
    assert "p50 above 0.1 s" in text


def test_records_win_over_metrics() -> None:
    told = Told(Reading(done=99.0), 5.0)
    report = a_report(more={"told": told, "by": Way.QUEUE})
    assert (report.by, report.jobs_done) == (Way.QUEUE, 10)


def test_why_no_job_was_seen_is_said_and_dead_letters_are_counted() -> None:
    report = a_report(**(UNSEEN | {"dead": 2, "unfinished": 8}), more={"why": "topic jobs-results is not there"})
    assert (report.by, report.jobs_dead) == (Way.DEPTH, 2)
    assert "topic jobs-results is not there" in text_of(report)
    assert exit_code(report) is ExitCode.JOBS_FAILED


def test_what_the_broker_may_have_or_may_have_twice_is_said_apart() -> None:
    report = a_report(more={"unconfirmed": 3, "repeated": 7})
    assert (report.to_json()["jobs_unconfirmed"], report.to_json()["jobs_repeated"]) == (3, 7)
    assert "3 more: the broker has not said" in text_of(report)
    assert "7 were sent again" in text_of(report)
