"""Pools that share a budget, loads with holes, and other rules beside: played, by arithmetic that is known."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.pools import pool_body
from workerpool_operator.api import parse
from workerpool_operator.cli.main import app
from workerpool_operator.cli.simulate.deciding import Arrivals
from workerpool_operator.cli.simulate.loads import TraceError, from_trace
from workerpool_operator.cli.simulate.model import Budget, Played, Pods, Run, simulate, together
from workerpool_operator.cli.simulate.rivals import DECIDERS, Rival

AT_ONCE = {"cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}, "targets": {"queueDepthPerReplica": 1}}
PODS = Pods(job_seconds=20.0, start_seconds=2.0, slots=1)


def played(name: str, arrivals: Arrivals, **scaling: Any) -> Played:
    pool = parse(pool_body(name, scaling=AT_ONCE | {"maxReplicas": 50} | scaling))
    return Played(pool=pool, arrivals=arrivals, pods=PODS, name=name)


def shared(priority: int = 0) -> dict[str, Any]:
    return {"budget": {"name": "team", "priority": priority}}


# Budgets


def test_pools_that_contend_never_exceed_their_budget_and_share_it_fairly() -> None:
    """The second comes when the first has everything, and gets its half as the first one's jobs end."""
    first = played("first", [500.0] + [0.0] * 199, **shared())
    second = played("second", [0.0] * 30 + [500.0] + [0.0] * 169, **shared())
    runs = together([first, second], budgets={"team": Budget(seats=10, max_priority=1000)})
    totals = [sum(run.points[tick].pods for run in runs) for tick in range(200)]
    assert max(totals) == 10
    assert [run.points[25].pods for run in runs] == [10, 0]
    assert [run.points[150].pods for run in runs] == [5, 5]
    assert "budget" in runs[1].points[150].limited_by


def test_a_higher_priority_comes_first_as_far_as_the_budget_lets_it_count() -> None:
    for most, sizes in ((1000, [0, 10]), (0, [5, 5])):
        pools = [played(name, [100.0] + [0.0] * 40, **shared(number)) for number, name in enumerate(("low", "high"))]
        runs = together(pools, budgets={"team": Budget(seats=10, max_priority=most)})
        assert [run.points[-1].pods for run in runs] == sizes


def test_a_pool_that_names_no_budget_shares_none() -> None:
    pools = [played("in", [9.0] + [0.0] * 20, **shared()), played("out", [9.0] + [0.0] * 20)]
    runs = together(pools, budgets={"team": Budget(seats=2, max_priority=0)})
    assert [run.points[1].desired for run in runs] == [2, 9]


# Holes


def trace(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "trace.csv"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("hole", ["", " ", "NaN"])
def test_a_rate_that_nobody_knows_is_a_hole_and_not_zero(tmp_path: Path, hole: str) -> None:
    file = trace(tmp_path, f"seconds,rate\n0,2\n2,{hole}\n4,1\n5,0\n")
    assert from_trace(file) == [2, 2, None, None, 1]


def test_the_size_is_held_over_a_hole_says_so_and_goes_on_after_it() -> None:
    """No worker goes although none of them has a job by then."""
    run = play_alone([5.0] + [0.0] * 10 + [None] * 40 + [0.0] * 600)
    hole = run.points[11:51]
    assert {point.desired for point in hole} == {run.points[10].desired} != {0}
    assert all("Held" in point.limited_by and not point.known for point in hole)
    assert run.points[-1].pods == 0


def play_alone(arrivals: Arrivals, **scaling: Any) -> Run:
    one = played("a", arrivals, **scaling)
    return simulate(one.pool, arrivals, pods=PODS, name="a")


def test_each_pool_may_have_lines_of_its_own_in_a_trace(tmp_path: Path) -> None:
    file = trace(tmp_path, "pool,seconds,rate\na,0,1\nb,0,7\na,2,3\nb,1,0\na,3,0\n")
    assert from_trace(file, pool="a") == [1, 1, 3]
    assert from_trace(file, pool="b") == [7]
    with pytest.raises(TraceError, match="a trace of pool c has at least two lines"):
        from_trace(file, pool="c")
    muddled = trace(tmp_path, "pool,seconds,rate\nb,0,1\nb,9,1\na,3,1\na,3,0\n")
    with pytest.raises(TraceError, match="line 5: times have to rise"):
        from_trace(muddled, pool="a")


def test_one_pool_alone_has_its_own_lines_of_a_trace_of_many(tmp_path: Path) -> None:
    """As it is when it is played with the others."""
    pools = tmp_path / "pool.yaml"
    pools.write_text(json.dumps(pool_body("a")), "utf-8")
    lines = trace(tmp_path, "pool,seconds,rate\na,0,1\nb,0,9\na,60,0\nb,60,0\n")
    shown = run("-f", str(pools), "--trace", str(lines), "--job-seconds", "1", "--json", str(tmp_path / "out.json"))
    assert shown.exit_code == 0, shown.output
    assert json.loads((tmp_path / "out.json").read_text("utf-8"))[0]["jobs"] == 60


# Others' rules


def rivalled(rival: Rival, arrivals: Arrivals, *, start: float = 0.0, **scaling: Any) -> Run:
    pool = parse(pool_body("a", scaling={"maxReplicas": 50, "targets": {"queueDepthPerReplica": 5}} | scaling))
    pods = Pods(job_seconds=1000.0, start_seconds=start, slots=1)
    return together([Played(pool=pool, arrivals=arrivals, pods=pods, name="a", decider=DECIDERS[rival])])[0]


def sizes(run: Run) -> list[tuple[float, int]]:
    """(second, size) at each change."""
    found: list[tuple[float, int]] = []
    for point in run.points:
        if not found or found[-1][1] != point.desired:
            found.append((point.at, point.desired))
    return found


def test_an_hpa_looks_every_fifteen_seconds_and_doubles_or_adds_four() -> None:
    run = rivalled(Rival.HPA, [0.0] * 10 + [120.0] + [0.0] * 60)
    assert sizes(run) == [(1.0, 1), (16.0, 5), (31.0, 10), (46.0, 20), (61.0, 24)]


def test_an_hpa_does_nothing_for_a_tenth_and_goes_down_after_five_minutes() -> None:
    near = rivalled(Rival.HPA, [50.0, *[0.0] * 100, 4.5, *[0.0] * 60])
    assert near.points[-1].desired == 10, "54 jobs at 5 a worker are 11, and 8 % more than 10 have"
    gone = together([played_at(Rival.HPA, [4.0] + [0.0] * 400)])[0]
    assert (gone.points[300].desired, gone.points[-1].desired) == (4, 1)


def test_keda_wakes_at_its_poll_and_sleeps_five_minutes_after_the_last_job() -> None:
    run = together([played_at(Rival.KEDA, [0.0] * 10 + [1.0] + [0.0] * 700)])[0]
    assert sizes(run)[:2] == [(1.0, 0), (31.0, 1)]
    assert run.points[300].desired == 1
    assert run.points[-1].desired == 0


def played_at(rival: Rival, arrivals: Arrivals) -> Played:
    pool = parse(pool_body("a", scaling={"targets": {"queueDepthPerReplica": 1}}))
    pods = Pods(job_seconds=10.0, start_seconds=0.0, slots=1)
    return Played(pool=pool, arrivals=arrivals, pods=pods, name="a", decider=DECIDERS[rival])


def test_both_hold_over_a_hole() -> None:
    for rival in Rival:
        run = rivalled(rival, [20.0] + [0.0] * 60 + [None] * 400)
        assert {point.desired for point in run.points[61:]} == {4}


# The command


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["simulate", *words], env={"COLUMNS": "200"})


def budgeted(tmp_path: Path, *, with_budget: bool = True) -> str:
    bodies: list[dict[str, Any]] = [pool_body(name, scaling=AT_ONCE | shared()) for name in ("a", "b")]
    if with_budget:
        metadata = {"name": "team"}
        kind = {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPoolBudget"}
        bodies.append({**kind, "metadata": metadata, "spec": {"maxReplicas": 4}})
    file = tmp_path / "team.yaml"
    file.write_text("\n---\n".join(json.dumps(body) for body in bodies), "utf-8")
    return str(file)


def test_a_file_of_pools_and_a_budget_is_played_beside_what_keda_would_have_done(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    load = ["--pattern", "burst", "--rate", "1", "--seconds", "300", "--job-seconds", "5", "--json", str(out)]
    shown = run("-f", budgeted(tmp_path), "--against", "keda", "--against", "hpa", *load)
    assert shown.exit_code == 0, shown.output
    figures = json.loads(out.read_text("utf-8"))
    assert [one["name"] for one in figures] == ["a", "b", "keda: a", "keda: b", "hpa: a", "hpa: b"]
    assert [one["largest"] for one in figures[:2]] == [2, 2]
    assert {"budget", "Held"} & set(shown.stdout.split()) == {"budget"}


def test_a_budget_that_is_not_in_the_file_is_said(tmp_path: Path) -> None:
    load = ["--pattern", "burst", "--rate", "1", "--seconds", "60", "--job-seconds", "5"]
    shown = run("-f", budgeted(tmp_path, with_budget=False), *load)
    assert "budget team is not in it: played without" in shown.stdout


def test_a_trace_with_holes_is_played_and_says_for_how_long_nothing_was_known(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(json.dumps(pool_body()), "utf-8")
    shown = run("-f", str(file), "--trace", str(trace(tmp_path, "seconds,rate\n0,2\n60,\n90,0\n120,0\n")),
                "--job-seconds", "1")  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert "not known" in shown.stdout
    assert "30 s" in shown.stdout
    assert "Held" in shown.stdout


def test_two_pools_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text("\n---\n".join([json.dumps(pool_body())] * 2), "utf-8")
    shown = run("-f", str(file), "--pattern", "burst", "--job-seconds", "1")
    assert shown.exit_code == 2
    assert "the same name" in " ".join(shown.stderr.replace("│", " ").split())
