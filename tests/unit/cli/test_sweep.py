"""Where the knee is, and how a sweep is told."""

import asyncio
import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from workerpool import Worker
from workerpool_operator.cli import plots
from workerpool_operator.cli.main import app
from workerpool_operator.cli.sweep.command import parse_limits
from workerpool_operator.cli.sweep.knee import Level, best, knee
from workerpool_operator.cli.sweep.report import Report
from workerpool_operator.cli.sweep.run import Swept, sweep
from workerpool_operator.cli.sweep.strategies import JobsFailedError, Strategy, jobs_at, measure

LIMITS = (1, 2, 4, 6, 8, 10, 12, 16, 24, 40)


def level(limit: int, *, throughput: float, p95: float, strategy: str = "bounded") -> Level:
    return Level(
        strategy=strategy,
        limit=limit,
        jobs=20,
        failed=0,
        throughput=throughput,
        p50=p95,
        p95=p95,
        p99=p95,
        cpu=0.001,
        switches=2.0,
    )


def served(capacity: int, *, contention: float = 0.0, noise: float = 0.0, strategy: str = "bounded") -> list[Level]:
    """What a server of this capacity shows, with every other level slower by `noise`."""
    found = []
    for number, limit in enumerate(LIMITS):
        slower = (1 + contention * max(0, limit - capacity)) * (1 + noise * (number % 2))
        throughput = min(limit, capacity) / 0.05 / slower
        found.append(level(limit, throughput=throughput, p95=limit / throughput, strategy=strategy))
    return found


@given(capacity=st.sampled_from(LIMITS[:-1]), contention=st.floats(0, 0.05), noise=st.floats(0, 0.08))
def test_the_knee_is_at_the_capacity_or_one_step_beside_it(capacity: int, contention: float, noise: float) -> None:
    found = knee(served(capacity, contention=contention, noise=noise))
    assert found is not None
    assert abs(LIMITS.index(found.limit) - LIMITS.index(capacity)) <= 1


@pytest.mark.parametrize("capacity", LIMITS[:-1])
def test_without_noise_the_knee_is_the_capacity(capacity: int) -> None:
    found = knee(served(capacity))
    assert found is not None
    assert found.limit == capacity


def test_throughput_that_rises_to_the_end_has_no_knee() -> None:
    assert knee(served(100)) is None


def test_throughput_that_is_flat_without_latency_has_no_knee() -> None:
    assert knee([level(limit, throughput=50, p95=0.1) for limit in LIMITS]) is None


def test_nothing_measured_has_no_knee() -> None:
    assert knee([]) is None
    assert knee([level(1, throughput=0, p95=0)]) is None


def test_the_best_of_repeats_counts() -> None:
    assert best([level(1, throughput=5, p95=1), level(1, throughput=9, p95=1)]).throughput == 9


def test_a_price_gives_the_cost_of_a_million() -> None:
    """At 100 jobs/s an hour does 360,000 jobs."""
    assert level(8, throughput=100, p95=1).cost(price=0.36) == pytest.approx(1.0)


@pytest.mark.parametrize(("limit", "jobs"), [(1, 20), (2, 20), (6, 48), (16, 112), (40, 120), (100, 300)])
def test_levels_run_whole_rounds(limit: int, jobs: int) -> None:
    assert jobs_at(limit) == jobs


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_no_strategy_runs_more_at_a_time_than_its_limit(strategy: Strategy, limit: int) -> None:
    running = most = done = 0

    async def call() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1

    found = await measure(strategy, limit=limit, call=call)
    assert (most, done) == (limit, jobs_at(limit))
    assert (found.strategy, found.limit, found.failed) == (strategy.value, limit, 0)


async def test_jobs_that_fail_are_counted_and_have_no_latency() -> None:
    turns = iter(range(10_000))

    async def call() -> None:
        if next(turns) % 2:
            raise ValueError("odd")

    found = await measure(Strategy.BOUNDED, limit=2, call=call)
    assert found.failed == found.jobs // 2


async def test_a_level_of_failures_ends_the_sweep() -> None:
    async def call() -> None:
        raise ValueError("no")

    with pytest.raises(JobsFailedError, match="ValueError: no"):
        await sweep(call, limits=[1], repeats=1, stop=asyncio.Event())


async def test_a_stop_keeps_the_levels_that_are_complete() -> None:
    stop, hang = asyncio.Event(), False

    async def call() -> None:
        if hang:
            await asyncio.Event().wait()

    def on_level(done: int, _planned: int, _what: str) -> None:
        nonlocal hang
        hang = done == 2
        if hang:
            asyncio.get_running_loop().call_soon(stop.set)

    found = await sweep(call, limits=[1, 2], repeats=1, stop=stop, on_level=on_level)
    assert found.stopped
    assert [each.strategy for each in found.levels] == ["naive", "bounded"]


@pytest.fixture
def report() -> Report:
    levels = [each for strategy in Strategy for each in served(8, contention=0.02, strategy=strategy.value)]
    return Report(swept=Swept(levels=tuple(levels), stopped=False), what="a server", price=0.1)


def test_it_tells_the_knee_and_naive_beside_bounded(report: Report) -> None:
    sentences = list(report.verdict())
    assert sentences[0].startswith("Knee: 8 at a time give 160.0 jobs/s")
    assert sentences[-1].startswith("Naive at 40 against bounded at 8:")
    assert "p99" in sentences[-1]
    assert "CPU" in sentences[-1]
    assert report.to_json()["knee"] == 8


def test_no_knee_is_said(report: Report) -> None:
    few = Report(swept=Swept(levels=tuple(served(100)), stopped=True), what="a server", price=None)
    assert next(few.verdict()).startswith("No knee")
    assert few.to_json()["knee"] is None


def test_the_csv_has_a_row_for_each_strategy_and_limit(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(rows) == 3 * len(LIMITS)
    assert {"strategy", "limit", "throughput_per_s", "p95_s", "p99_s", "cpu_s_per_job", "cost_per_million"} <= set(
        rows[0]
    )


def test_a_plot_names_its_axes_with_units_and_marks_the_knee(report: Report, tmp_path: Path) -> None:
    report.plot(tmp_path / "sweep.svg")
    svg = (tmp_path / "sweep.svg").read_text()
    ET.fromstring(svg)
    # matplotlib writes each text as a comment beside its outlines.
    for text in ("throughput (jobs/s)", "p95 latency (ms)", "limit (jobs at a time)", "naive", "knee: 8 at a time"):
        assert text in svg
    report.plot(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_made_is_said_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(plots.PlotError, match=r"\.png or a \.svg"):
        plots.check_wanted(Path("sweep.gif"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(plots.PlotError, match=r"pip install 'workerpool-operator\[plot\]'"):
        plots.check_wanted(Path("sweep.png"))
    assert CliRunner().invoke(app, ["sweep", "--plot", "sweep.png"]).exit_code == 2


@pytest.mark.parametrize("text", ["", "a", "1,1", "4,2", "0,1", "1,5000"])
def test_limits_that_do_not_rise_are_wrong_usage(text: str) -> None:
    with pytest.raises(ValueError, match="--limits"):
        parse_limits(text)


def test_a_job_of_the_cpu_lane_has_no_knee_to_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "run", Worker.run)  # what `load` disarms is armed again afterwards
    shown = CliRunner().invoke(app, ["sweep", "workerpool_operator.cli.samples:worker", "compute"])
    assert shown.exit_code == 2
    assert "number of cores" in " ".join(shown.output.split())
