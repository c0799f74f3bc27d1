"""A pool played against a load: by arithmetic that is known, and end to end."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.pools import pool_body
from workerpool_operator.api import parse
from workerpool_operator.cli.main import app
from workerpool_operator.cli.simulate.loads import Pattern, TraceError, from_pattern, from_trace
from workerpool_operator.cli.simulate.model import Pods, Run, changes, quantile, simulate
from workerpool_operator.cli.simulate.report import Figures

AT_ONCE = {"cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}}


def play(arrivals: list[float], *, job: float = 1.0, start: float = 5.0, slots: int = 1, **scaling: Any) -> Run:
    pool = parse(pool_body(scaling=AT_ONCE | scaling))
    return simulate(pool, arrivals, pods=Pods(job_seconds=job, start_seconds=start, slots=slots), name="a")


# The model


@pytest.mark.parametrize(("rate", "job", "slots"), [(10.0, 0.5, 1), (10.0, 2.0, 4), (200.0, 0.01, 1), (3.0, 60.0, 20)])
def test_a_steady_load_settles_where_little_s_law_says(rate: float, job: float, slots: int) -> None:
    run = play([rate] * 400, job=job, slots=slots, targets={"jobLatencySeconds": 30}, maxReplicas=500)
    last = run.points[-1]
    needed = rate * job / slots
    assert needed - 1e-6 <= last.ready <= needed + 2
    assert last.waiting < 30 * rate
    assert run.done == pytest.approx(rate * 400, rel=0.25)


@pytest.mark.parametrize("job", [0.05, 0.5, 0.9])
def test_short_jobs_that_come_all_the_time_keep_their_workers(job: float) -> None:
    """They are done by the time of the next look, and a pool that has them is not idle: it neither sleeps nor wakes."""
    run = play([20.0] * 300, job=job, slots=4, targets={"queueDepthPerReplica": 2}, minReplicas=0)
    settled = run.points[60:]
    assert {point.ready for point in settled} == {math.ceil(20 * job / 2)}
    assert max(point.waiting for point in settled) < 1e-6


def test_no_job_is_lost_and_none_is_done_twice() -> None:
    run = play([0.0] * 5 + [500.0] + [0.0] * 120, maxReplicas=10)
    assert run.done == pytest.approx(500.0)
    assert sum(jobs for _, jobs in run.waits) == pytest.approx(500.0)
    assert run.points[-1].pods == 0
    for point in run.points:
        assert point.running <= point.ready + 1e-6


def test_pods_take_jobs_only_when_they_have_started() -> None:
    run = play([5.0] + [0.0] * 30, job=10.0, start=7.0, targets={"queueDepthPerReplica": 1})
    readies = [point.ready for point in run.points]
    assert readies[:7] == [0] * 7
    assert readies[7] == 5
    assert min(seconds for seconds, _ in run.waits) == 7.0


def test_a_pod_with_a_job_is_not_taken_away() -> None:
    run = play([9.0] + [0.0] * 40, job=20.0, start=1.0, targets={"queueDepth": 1})
    for before, after in zip(run.points, run.points[1:], strict=False):
        if after.ready < before.ready:
            assert after.ready >= after.running - 1e-6


@pytest.mark.parametrize("job", [0.1, 1.0, 10.0])
def test_workers_begin_no_more_than_the_rate_limit_lets_them(job: float) -> None:
    """So a queue into which more comes grows by the rest, whatever the size."""
    pool = parse(pool_body(scaling=AT_ONCE | {"maxReplicas": 500}, delivery={"rateLimitPerSecond": "5"}))
    run = simulate(pool, [50.0] * 120, pods=Pods(job_seconds=job, start_seconds=1.0, slots=1), name="a")
    begun = sum(jobs for _, jobs in run.waits)
    assert 5.0 * 110 <= begun <= 5.0 * 120
    assert run.points[-1].waiting == pytest.approx(50.0 * 120 - begun)
    assert quantile(run.waits + run.left, 0.95) > 50


def test_what_limits_a_pool_is_in_its_course() -> None:
    run = play([500.0] + [0.0] * 20, maxReplicas=3)
    assert run.points[0].desired == 3
    assert run.points[0].limited_by == ("maxReplicas",)


def test_a_schedule_is_played_by_a_clock_that_begins_on_monday() -> None:
    floor = {"cron": "2 0 * * 1", "durationSeconds": 60, "minReplicas": 4}
    sizes = [point.desired for point in play([0.0] * 300, schedules=[floor]).points]
    assert (sizes[100], sizes[150], sizes[250]) == (0, 4, 0)


def test_in_mode_manual_the_size_is_the_person_s() -> None:
    """An autoscaler that nobody would have is not played."""
    pool = parse(pool_body(replicas=3, scaling={"mode": "manual"}))
    run = simulate(pool, [0.0, 500.0] + [0.0] * 20, pods=Pods(job_seconds=1.0, start_seconds=5.0, slots=1), name="a")
    assert {(point.desired, point.limited_by) for point in run.points} == {(3, ())}


def test_what_cannot_be_played_is_said() -> None:
    assert any("cpuUtilization" in words for words in play([1.0], targets={"cpuUtilization": "0.7"}).silent)


# The figures


def test_quantiles_weigh_jobs() -> None:
    waits = [(10.0, 1.0), (0.0, 98.0), (5.0, 1.0)]
    assert (quantile(waits, 0.5), quantile(waits, 0.99), quantile(waits, 1.0)) == (0.0, 5.0, 10.0)
    assert quantile([], 0.95) == 0.0


def test_pods_are_paid_for_from_their_start() -> None:
    run = play([10.0] * 360, job=0.5, targets={"queueDepthPerReplica": 1}, minReplicas=10, maxReplicas=10)
    figures = Figures.of(run, price=0.5)
    assert figures.pod_hours == pytest.approx(1.0, rel=0.01)
    assert figures.cost == pytest.approx(0.5, rel=0.01)
    assert figures.idle_share == pytest.approx(0.5, abs=0.05)
    assert list(changes(run.points)) == [10]


def test_jobs_that_still_wait_count_among_the_waits() -> None:
    figures = Figures.of(play([100.0] + [0.0] * 9, start=3600.0), price=None)
    assert (figures.unfinished, figures.p95_wait_seconds, figures.cost) == (100.0, 9.0, None)


def test_each_job_that_still_waits_has_waited_since_it_came() -> None:
    """In a queue that only grows the median is not the longest."""
    figures = Figures.of(play([10.0] * 100, start=3600.0), price=None)
    assert figures.p50_wait_seconds == pytest.approx(50.0, abs=1.0)
    assert figures.longest_wait_seconds == 99.0


# Loads


@pytest.mark.parametrize(
    ("pattern", "jobs"), [(Pattern.STEADY, 1000), (Pattern.RAMP, 500), (Pattern.BURST, 100), (Pattern.PEAK, 1333)]
)
def test_patterns_bring_as_many_jobs_as_they_say(pattern: Pattern, jobs: int) -> None:
    made = from_pattern(pattern, rate=10.0, seconds=100.0)
    assert len(made) == 100
    assert sum(made) == pytest.approx(jobs, abs=2)


def trace(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "trace.csv"
    file.write_text(text, "utf-8")
    return file


def test_a_line_of_a_trace_holds_until_the_next(tmp_path: Path) -> None:
    assert from_trace(trace(tmp_path, "seconds,rate\n100,2\n103,0.5\n105,9\n")) == [2, 2, 2, 0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the header has to name seconds and rate"),
        ("time,rate\n1,2\n", "the header has to name seconds and rate"),
        ("seconds,rate\n1,2\n", "at least two lines"),
        ("seconds,rate\n1,2\n1,2\n", "line 3: times have to rise"),
        ("seconds,rate\n1,2\n2,many\n", "line 3: seconds and rate are numbers"),
        ("seconds,rate\n1\n2,3\n", "line 2: seconds and rate are numbers"),
        ("seconds,rate\n1,-1\n2,3\n", "line 2: a rate is from 0"),
        ("seconds,rate\ninf,1\n2,3\n", "line 2: a rate is from 0"),
        ("seconds,rate\n1,1\n9999999,3\n", "longer than 7 days"),
    ],
)
def test_a_trace_that_makes_no_sense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        from_trace(trace(tmp_path, text))


def test_a_trace_that_a_spreadsheet_wrote_is_read(tmp_path: Path) -> None:
    """With a mark at its begin, and lines that end as on another system."""
    file = tmp_path / "trace.csv"
    file.write_bytes(b"\xef\xbb\xbfseconds,rate\r\n0,2\r\n2,0\r\n")
    assert from_trace(file) == [2, 2]


# The command


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["simulate", *words], env={"COLUMNS": "200"})


BUDGET = {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPoolBudget", "metadata": {"name": "a"}, "spec": {}}


@pytest.fixture
def pools(tmp_path: Path) -> tuple[str, str]:
    files = []
    for name, most in (("small", 2), ("large", 20)):
        body = pool_body(name, scaling=AT_ONCE | {"maxReplicas": most}, worker={"maxWorkers": 2})
        file = tmp_path / f"{name}.yaml"
        file.write_text(json.dumps(body), "utf-8")
        files.append(str(file))
    return files[0], files[1]


def test_two_settings_are_compared_in_table_and_files(tmp_path: Path, pools: tuple[str, str]) -> None:
    small, large = pools
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "json")}
    files = [word for kind, option in (("csv", "--csv"), ("json", "--json")) for word in (option, str(out[kind]))]
    load = ["--pattern", "burst", "--rate", "10", "--seconds", "300", "--job-seconds", "2", "--price", "0.1"]
    shown = run("-f", small, "--compare", large, *load, *files)
    assert shown.exit_code == 0, shown.output
    assert "wait, p95" in shown.stdout
    assert "maxReplicas" in shown.stdout
    first, second = json.loads(out["json"].read_text("utf-8"))
    assert (first["largest"], second["largest"]) == (2, 15)
    assert first["p95_wait_seconds"] > second["p95_wait_seconds"]
    rows = list(csv.DictReader(out["csv"].read_text("utf-8").splitlines()))
    assert len(rows) == 600
    assert {row["pool"] for row in rows} == {small, large}


def test_a_trace_is_played(tmp_path: Path, pools: tuple[str, str]) -> None:
    file = trace(tmp_path, "seconds,rate\n0,2\n60,0\n120,0\n")
    shown = run("-f", pools[0], "--trace", str(file), "--job-seconds", "0.1")
    assert shown.exit_code == 0, shown.output
    assert "120" in shown.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "no YAML"),
        ("kind: Deployment", "has no WorkerPool"),
        (json.dumps(pool_body() | {"spec": {}}), "spec.worker: Required value"),
        (json.dumps(pool_body() | {"apiVersion": "workerpool.dev/v9"}), "has no WorkerPool of workerpool.dev/v1alpha1"),
        (
            json.dumps(pool_body(scaling={"minReplicas": 5, "maxReplicas": 2})),
            "minReplicas must not be above maxReplicas",
        ),
        (json.dumps(pool_body(scaling={"maxReplica": 5})), "spec.scaling.maxReplica: unknown field"),
        (json.dumps(pool_body("a.b")), "metadata.name must have at most 47 characters"),
        (json.dumps(BUDGET), "spec.maxReplicas: Required value"),
    ],
    ids=["no YAML", "another kind", "no spec", "another version", "min above max", "unknown field", "name", "budget"],
)
def test_a_file_that_the_api_server_would_refuse_is_not_played(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(text, "utf-8")
    shown = run("-f", str(file), "--pattern", "burst", "--job-seconds", "1")
    assert shown.exit_code == 2
    assert words in " ".join(shown.stderr.replace("│", " ").split())


def test_a_load_is_either_a_trace_or_a_pattern(pools: tuple[str, str]) -> None:
    assert run("-f", pools[0], "--job-seconds", "1").exit_code == 2
