"""Repetitions added up and compared: what is a regression, and what only looks like one."""

import csv
import io
import itertools
import json
import math
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from workerpool_operator.cli.bench.modes import Mode, Origin
from workerpool_operator.cli.bench.report import COLUMNS, BaseError, Report, changes, read_base
from workerpool_operator.cli.bench.run import Measured, Wanted
from workerpool_operator.cli.bench.statistics import CHANCE, Change, Summary, chance_of, compare, confirmed
from workerpool_operator.cli.main import app
from workerpool_operator.cli.profile.classify import Bound

ORIGIN = Origin(program="app:worker", type="resize", payload={})


def wanted(*, reps: int = 5, jobs: int = 10) -> Wanted:
    return Wanted(what="app:worker resize", origins={Mode.SEQUENTIAL: ORIGIN}, jobs=jobs, width=4, cores=2, reps=reps)


def by_hand(now: list[float], base: list[float]) -> float:
    """Every way to deal the same values out to the two sides."""
    seen = sum(late > early for late in now for early in base)
    every = now + base
    ways = list(itertools.combinations(range(len(every)), len(now)))
    larger = 0
    for chosen in ways:
        ours = [every[place] for place in chosen]
        others = [every[place] for place in range(len(every)) if place not in chosen]
        larger += sum(late > early for late in ours for early in others) >= seen
    return larger / len(ways)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=8, unique=True), st.data())
def test_the_chance_is_that_of_counting_every_way(values: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    now, base = [float(each) for each in values[:cut]], [float(each) for each in values[cut:]]
    assert chance_of(now, base) == pytest.approx(by_hand(now, base))


def test_five_against_five_can_be_told_apart() -> None:
    assert chance_of([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == pytest.approx(1 / math.comb(10, 5))


def test_equal_times_are_no_sign_of_anything() -> None:
    assert chance_of([1.0] * 5, [1.0] * 5) == 1


def one(now: list[float], base: list[float], *, tolerance: float = 0.1) -> Change:
    [change] = compare({"threaded": now}, {"threaded": base}, tolerance=tolerance)
    return change


BASE = [1.0, 1.01, 1.02, 1.03, 1.04]


def test_all_slower_by_a_half_is_a_regression() -> None:
    assert one([1.5, 1.52, 1.51, 1.53, 1.54], BASE).regressed


def test_faster_is_no_regression() -> None:
    assert not one([0.5] * 5, BASE).regressed


def test_slower_within_the_tolerance_is_none() -> None:
    assert not one([each * 1.08 for each in BASE], BASE).regressed
    assert one([each * 1.08 for each in BASE], BASE, tolerance=0.02).regressed


def test_a_busy_machine_that_leaves_one_repetition_alone_is_none() -> None:
    """The fastest repetition shows what the code can do."""
    assert not one([1.04, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5], BASE).regressed


def test_noise_alone_raises_no_alarm_that_a_second_look_confirms() -> None:
    """Times with a floor and a long tail, as those of jobs: 400 comparisons of the same code."""
    chance = random.Random(7)

    def times() -> dict[str, list[float]]:
        return {mode.value: [1 + chance.expovariate(3) for _ in range(10)] for mode in Mode}

    suspected = alarms = 0
    for _ in range(400):
        base = times()
        first = compare(times(), base, tolerance=0.1)
        suspected += any(each.regressed for each in first)
        alarms += any(each.regressed for each in confirmed(first, compare(times(), base, tolerance=0.1)))
    assert suspected < 400 * CHANCE
    assert alarms == 0


def test_a_second_look_keeps_what_both_have_seen() -> None:
    slower, same = one([each * 2 for each in BASE], BASE), one(BASE, BASE)
    assert [each.regressed for each in confirmed([slower], [slower])] == [True]
    assert [each.regressed for each in confirmed([slower], [same])] == [False]
    assert [each.regressed for each in confirmed([same], [slower])] == [False]


def test_modes_that_only_one_side_has_are_not_compared() -> None:
    assert compare({"a": BASE}, {"b": BASE}, tolerance=0.1) == []


def test_a_summary_has_the_columns_of_the_csv() -> None:
    summary = Summary.of([0.3, 0.1, 0.2, 0.5, 0.4])
    assert (summary.reps, summary.median, summary.p95, summary.least, summary.most) == (5, 0.3, 0.5, 0.1, 0.5)


@pytest.fixture
def report() -> Report:
    times = {"sequential": [each * 10 for each in BASE], "threaded": list(BASE)}
    return Report(wanted=wanted(), measured=Measured(times=times, shares=[0.02] * 5, failed={"process": "no"}))


def test_the_csv_is_what_it_always_was(report: Report) -> None:
    assert COLUMNS == ("mode", "reps", "median_s", "p95_s", "min_s", "max_s")
    rows = list(csv.reader(io.StringIO(report.to_csv())))
    assert rows == [list(COLUMNS), ["sequential", "5", "10.2", "10.4", "10.0", "10.4"], rows[2]]
    assert rows[2][:3] == ["threaded", "5", "1.02"]


@pytest.mark.parametrize(("share", "bound"), [(0.02, Bound.IO), (0.5, Bound.MIXED), (0.99, Bound.CPU)])
def test_the_verdict_is_by_cpu_time(share: float, bound: Bound) -> None:
    found = Report(wanted=wanted(), measured=Measured(times={"sequential": BASE}, shares=[share]))
    assert found.bound is bound
    assert next(found.verdict()).startswith(bound.value)


def test_modes_that_cannot_run_the_jobs_are_said(report: Report) -> None:
    assert next(report.verdict()) == "process: left out, its jobs fail: no"
    assert Report(wanted=wanted(), measured=Measured()).bound is None


def test_its_json_is_a_base_to_compare_with(report: Report, tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text(json.dumps(report.to_json()))
    base = read_base(tmp_path / "base.json", wanted())
    assert base["threaded"] == BASE
    [first, _] = changes(compare(report.measured.times, base, tolerance=0.1))
    assert first.startswith("sequential: 10.200 s -> 10.200 s (+0 %)")
    assert first.endswith("no regression")


def test_a_base_of_other_jobs_or_too_few_repetitions_is_refused(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "base.json"
    file.write_text(json.dumps(report.to_json()))
    with pytest.raises(BaseError, match="of other jobs"):
        read_base(file, wanted(jobs=11))
    with pytest.raises(BaseError, match="5 repetitions"):
        read_base(file, wanted(reps=4))
    file.write_text(report.to_csv())
    with pytest.raises(BaseError, match="not what `wpool bench --json` writes"):
        read_base(file, wanted())


def test_a_plot_shows_each_mode(report: Report, tmp_path: Path) -> None:
    report.plot(tmp_path / "bench.svg")
    svg = (tmp_path / "bench.svg").read_text()
    ET.fromstring(svg)
    for text in ("time of all jobs (s)", "sequential", "threaded", "P95", "median 1.02 s, 10.0 x"):
        assert text in svg


@pytest.mark.parametrize("arguments", [["app:worker"], ["--plot", "a.gif"], ["app:worker", "x", "--payload", "{"]])
def test_options_that_make_no_sense_are_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["bench", *arguments]).exit_code == 2
