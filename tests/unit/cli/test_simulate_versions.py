"""The workers of two versions in played time, the dice, and the command that plays new versions."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.pools import pool_body
from workerpool_operator.cli.main import app
from workerpool_operator.cli.simulate.dice import Dice
from workerpool_operator.cli.simulate.workers import Side, Workers
from workerpool_operator.domain.rollout.spread import Spread

# The dice


@pytest.mark.parametrize(("trials", "chance"), [(10, 0.9), (10, 0.1), (1000, 0.01), (100_000, 0.2), (100_000, 0.9)])
def test_hits_have_the_mean_and_the_spread_of_a_binomial(trials: int, chance: float) -> None:
    dice, many = Dice(random.Random(1)), 4000
    drawn = [dice.binomial(trials, chance) for _ in range(many)]
    mean, variance = trials * chance, trials * chance * (1 - chance)
    assert min(drawn) >= 0
    assert max(drawn) <= trials
    assert sum(drawn) / many == pytest.approx(mean, abs=4 * (variance / many) ** 0.5)
    assert sum((one - mean) ** 2 for one in drawn) / many == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize(("trials", "chance", "hits"), [(0, 0.9, 0), (-1, 0.9, 0), (5, 0.0, 0), (5, 1.0, 5)])
def test_at_its_ends_nothing_is_left_to_chance(trials: int, chance: float, hits: int) -> None:
    assert Dice(random.Random(1)).binomial(trials, chance) == hits


# Workers


def pool(*, pods: int = 10, surge: int = 1, start: float = 10.0, warmup: float = 60.0) -> Workers:
    return Workers(
        surge=surge,
        start_seconds=start,
        warmup_seconds=warmup,
        now=0.0,
        stable=Side(ready=[-1e9] * pods),
    )


def sizes(workers: Workers) -> tuple[int, int]:
    return len(workers.stable.ready), len(workers.canary.ready)


@pytest.mark.parametrize(("surge", "seconds"), [(1, 50), (5, 10)])
def test_the_canary_gets_its_share_one_surge_after_the_other(surge: int, seconds: int) -> None:
    workers = pool(surge=surge)
    course = []
    for second in range(1, seconds + 1):
        workers.move(until=float(second), total=10, weight=50)
        course.append(sizes(workers))
        assert workers.stable.replicas + workers.canary.replicas <= 10 + surge
        assert workers.ready >= 10
    assert course[-2] != (5, 5)
    assert course[-1] == (5, 5)


def test_a_long_move_ends_where_short_ones_do() -> None:
    long, short = pool(), pool()
    long.move(until=100.0, total=10, weight=30)
    for second in range(1, 101):
        short.move(until=float(second), total=10, weight=30)
    assert sizes(long) == sizes(short) == (7, 3)
    assert long.canary.ready == short.canary.ready == [10.0, 20.0, 30.0]


def test_a_pool_that_sleeps_loses_both_and_wakes_with_both() -> None:
    workers = pool()
    workers.move(until=100.0, total=10, weight=10)
    workers.move(until=110.0, total=0, weight=10)
    assert sizes(workers) == (0, 0)
    workers.move(until=115.0, total=10, weight=10)
    assert (sizes(workers), workers.canary.replicas) == ((0, 0), 1)
    workers.move(until=125.0, total=10, weight=10)
    assert sizes(workers) == (9, 1)


def test_jobs_are_shared_by_workers_and_judged_by_those_that_are_warm() -> None:
    workers = pool()
    workers.move(until=10.0, total=10, weight=10)
    assert workers.work(100.0) == (10.0, 0.0, 90.0)
    workers.move(until=70.0, total=10, weight=10)
    assert workers.both_warm is False
    assert workers.work(50.0) == (5.0, 5.0, 45.0)
    assert workers.both_warm is True


def test_failures_are_spread_over_those_who_did_the_jobs_and_kept_of_those_who_went() -> None:
    """As the judge's own cells are: each worker's failures squared over its trials, and its rate."""
    dice = Dice(random.Random(1))
    workers = pool(pods=2)
    workers.work(20.0)
    incidents = workers.stable.hit(3, dice, at=100.0)
    per_worker = [one.failures for one in workers.stable.warm]
    assert incidents == sum(1 for failures in per_worker if failures)
    before = Spread(2, 20.0, 3, sum(failures**2 / 10 for failures in per_worker), 0.3)
    assert workers.stable.spread(each=workers.each) == pytest.approx(before)
    workers.move(until=10.0, total=0, weight=10)
    workers.work(0.0)
    assert workers.stable.warm == []
    assert workers.stable.spread(each=workers.each) == pytest.approx(before)


def test_failures_of_one_worker_within_a_minute_are_one_incident() -> None:
    dice, side = Dice(random.Random(1)), Side(ready=[0.0])
    side.warm_up(born=0.0, each=0.0)
    assert [side.hit(2, dice, at=at) for at in (0.0, 30.0, 60.0)] == [1, 0, 1]
    assert Side().hit(5, dice, at=0.0) == 1


# The command


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["simulate", *words], env={"COLUMNS": "200"})


LOAD = ("--pattern", "steady", "--rate", "10", "--seconds", "1800", "--job-seconds", "0.5")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """One with a short step, and one that rolls."""
    found = []
    rollouts = ({"steps": [{"weight": 20, "durationSeconds": 300}]}, {"strategy": "Rolling"})
    for name, rollout in zip(("tries", "rolls"), rollouts, strict=True):
        file = tmp_path / f"{name}.yaml"
        body = pool_body(name, rollout=rollout, scaling={"minReplicas": 10, "maxReplicas": 10})
        file.write_text(json.dumps(body), "utf-8")
        found.append(str(file))
    return found[0], found[1]


def test_new_versions_are_told_in_table_and_file(tmp_path: Path, files: tuple[str, str]) -> None:
    """Of a file that has canaries beside one that has none."""
    tries, rolls = files
    out = tmp_path / "out.json"
    words = ["--canary-ratio", "1", "--canary-ratio", "10", "--runs", "20", "--canary-at", "120"]
    shown = run("-f", tries, "--compare", rolls, *LOAD, *words, "--json", str(out))
    assert shown.exit_code == 0, shown.output
    assert f"{tries}: 20 rollouts of a new version" in shown.stdout
    [row] = [line.split() for line in shown.stdout.splitlines() if line.split()[:2] == ["x", "10"]]
    assert (row[2:5], row[-1]) == (["0.0%", "100.0%", "0.0%"], "100%")
    assert "its steps can find a ratio of" in shown.stdout
    assert f"{rolls}: rollout.strategy is Rolling: no canary to play" in shown.stdout
    first, second = json.loads(out.read_text("utf-8"))
    good, bad = first["canaries"]
    assert second["canaries"] == []
    assert (bad["rejected"], bad["ratio"], bad["rollouts"]) == (1.0, 10.0, 20)
    assert good["promoted"] >= 0.9
    assert sum(good["steps"].values()) == pytest.approx(1.0)
    assert "verdicts" not in good


def test_who_asks_for_no_canary_is_told_of_none(tmp_path: Path, files: tuple[str, str]) -> None:
    out = tmp_path / "out.json"
    shown = run("-f", files[0], *LOAD, "--json", str(out))
    assert shown.exit_code == 0, shown.output
    assert "promoted" not in shown.stdout
    assert "canaries" not in json.loads(out.read_text("utf-8"))[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--canary-ratio", "2", "--failure-rate", "0"), "--failure-rate, and that is 0"),
        (("--canary-ratio", "2", "--canary-at", "1800"), "--canary-at 1800: the load ends after 1800 s"),
        (("--canary-ratio", "-1"), "--canary-ratio"),
    ],
)
def test_a_canary_that_says_nothing_is_refused(files: tuple[str, str], words: tuple[str, ...], said: str) -> None:
    shown = run("-f", files[0], *LOAD, *words)
    assert shown.exit_code == 2
    assert said in " ".join(shown.stderr.replace("│", " ").split())
