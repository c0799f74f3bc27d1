"""New versions played against a load: as often right, and as soon, as the judge is known to be."""

import functools
import random
import statistics
from typing import Any

import pytest

from bench.canary import BASE_RATE, JOBS_PER_POD, Pod, alone, never
from tests.support.pools import pool_body
from workerpool_operator.api import parse
from workerpool_operator.cli.simulate.canary import Wish, slices
from workerpool_operator.cli.simulate.dice import Dice
from workerpool_operator.cli.simulate.model import Pods, Run, simulate
from workerpool_operator.cli.simulate.verdicts import Canary, tried
from workerpool_operator.domain.rollout.evidence import Evidence
from workerpool_operator.domain.rollout.judge import Rules, Verdict, Watch, assess, look
from workerpool_operator.domain.rollout.ledger import Side

START = 10.0
WARM_UP = 60.0
AT = 60.0
HOUR = 3600
FIFTY = 500 / 60
"""Jobs per second of which a tenth are 50 a minute."""
ONE_STEP = [{"weight": 10, "durationSeconds": 60}]
BY_RATIO = {"tolerateRatio": "1", "rejectRatio": "3"}
"""As the known table asks."""


@functools.cache
def load(*, rate: float = FIFTY, seconds: int = HOUR, pods: int = 10, start: float = START) -> Run:
    """Jobs that come steadily at a pool of this size."""
    pool = parse(pool_body(replicas=pods, scaling={"mode": "manual"}))
    return simulate(pool, [rate] * seconds, pods=Pods(job_seconds=0.5, start_seconds=start, slots=1), name="a")


def played(run: Run, ratio: float, *, runs: int = 60, seed: int = 1, rate: float = 0.01, **rollout: Any) -> Canary:
    pool = parse(pool_body(rollout={"strategy": "Canary"} | rollout))
    return Canary.of(run, pool, Wish(ratio=ratio, failure_rate=rate, at=AT, runs=runs, seed=seed))


# As known


@pytest.mark.parametrize(
    ("ratio", "rejected", "minutes"), [(1, (0.0, 0.05), 9), (3, (0.9, 1.0), 7), (5, (0.99, 1.0), 3)]
)
def test_it_ends_as_the_judges_table_says(ratio: float, rejected: tuple[float, float], minutes: float) -> None:
    """Rows of docs/explanation/canary.md for 50 canary jobs a minute: in twice their median, once a worker is warm."""
    found = played(load(), ratio, steps=ONE_STEP, analysis=BY_RATIO)
    assert rejected[0] <= found.rejected <= rejected[1]
    assert found.undecided <= 0.02
    assert found.median_seconds is not None
    assert found.median_seconds <= START + WARM_UP + 2 * 60 * minutes


def test_a_good_version_passes_both_steps_of_the_defaults_and_hardly_one_is_rejected() -> None:
    found = played(load(seconds=2 * HOUR), 1.0, runs=40)
    assert found.rejected <= 0.05  # falseAlarm
    assert found.promoted >= 0.9
    assert found.median_seconds is not None
    assert 2400 <= found.median_seconds <= 3600
    assert found.steps.keys() <= {1, 2}
    assert found.failed == pytest.approx(found.failed_by_stable, rel=0.1)


def test_one_that_fails_ten_times_as_often_goes_in_its_first_step_and_costs_few_jobs() -> None:
    found = played(load(), 10.0)
    assert found.rejected == 1.0
    assert found.why["rejected"] == {"Evidence": 1.0}
    assert found.steps == {1: 1.0}
    assert found.p95_seconds is not None
    assert found.p95_seconds <= START + WARM_UP + 240
    assert found.failed == pytest.approx(10 * found.failed_by_stable, rel=0.1)
    assert found.failed < 40


def test_it_goes_as_soon_as_by_counters_that_are_read_look_by_look() -> None:
    """The whole judge on the counters of 20 workers, two of them canaries, that fail five times as often."""
    found = played(load(rate=20 * JOBS_PER_POD / 60, pods=20), 5.0, steps=ONE_STEP)
    dice = Dice(random.Random(1))
    counted = statistics.median(_seconds_by_counters(dice, ratio=5.0) for _ in range(40))
    assert found.median_seconds is not None
    assert found.median_seconds - START - WARM_UP == pytest.approx(counted, abs=90)


def _seconds_by_counters(dice: Dice, *, ratio: float) -> float:
    rules = Rules()
    none = never(dice, 0.0, 0.0)
    pods = [
        Pod(
            uid=str(number),
            side=Side.CANARY if number < 2 else Side.STABLE,
            failures=alone(dice, BASE_RATE * (ratio if number < 2 else 1.0), JOBS_PER_POD),
            slow=none,
            crashes=none,
        )
        for number in range(20)
    ]
    evidence, watch, now = Evidence(nulls=rules.nulls), Watch(), 0.0
    while assess(evidence, watch.ledger, rules=rules).verdict is not Verdict.FAIL:
        readings, states = tuple(pod.minute(now) for pod in pods), tuple(pod.state for pod in pods)
        evidence, watch = look(
            evidence, watch, readings, states, now=now, rules=rules, lease_seconds=60.0, fresh_seconds=30.0
        )
        now += 60.0
    return now - 60.0


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    one, same, other = (played(load(), 3.0, runs=20, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.verdicts != other.verdicts


# Settings


def test_beside_a_single_worker_it_takes_half_of_the_jobs() -> None:
    """However small the weight is."""
    few, ten = (played(load(rate=1.0, seconds=1200, pods=pods), 1.0, runs=5) for pods in (1, 10))
    assert few.jobs == pytest.approx(5 * ten.jobs, rel=0.1)


def test_a_budget_of_failures_ends_it_whatever_the_ratio() -> None:
    found = played(load(), 1.0, runs=20, analysis={"failureBudget": 3})
    assert found.why["rejected"].keys() == {"FailureBudget"}
    assert found.rejected > 0.5


def test_an_objective_that_it_breaks_ends_it_although_the_ratio_is_tolerated() -> None:
    lenient = {"tolerateRatio": "20", "rejectRatio": "40"}
    pool = parse(pool_body(rollout={"strategy": "Canary", "analysis": lenient}, slo={"availability": "0.95"}))
    found = Canary.of(load(), pool, Wish(ratio=15.0, failure_rate=0.01, at=AT, runs=20))
    assert found.why["rejected"] == {"SLO": 1.0}


@pytest.mark.parametrize(
    ("rollout", "waits"),
    [
        ({"autoPromote": False}, "WaitsForPromotion"),
        ({"steps": [{"weight": 10, "pause": True}]}, "Paused"),
        ({"steps": [{"weight": 10, "minJobs": 100_000}]}, "StepRuns"),
    ],
)
def test_what_people_have_to_decide_or_what_has_not_ended_is_undecided_and_says_why(
    rollout: dict[str, Any], waits: str
) -> None:
    found = played(load(), 1.0, runs=20, **({"steps": ONE_STEP} | rollout))
    assert found.undecided >= 0.9
    assert found.why["undecided"].keys() == {waits}
    assert found.median_seconds is None


def test_one_that_failed_and_waits_for_people_is_undecided_too() -> None:
    found = played(load(), 10.0, runs=20, autoRollback=False)
    assert found.why["undecided"] == {"WaitsForAbortion": 1.0}
    assert found.failed < 40


@pytest.mark.parametrize(
    ("policy", "share"), [("Promote", "promoted"), ("Rollback", "rejected"), ("Hold", "undecided")]
)
def test_of_a_quiet_queue_it_ends_as_the_policy_says(policy: str, share: str) -> None:
    """A job in a minute; the step is over long before there is a verdict."""
    found = played(load(rate=1 / 60), 1.0, runs=5, steps=ONE_STEP, analysis={"onInconclusive": policy})
    assert getattr(found, share) == 1.0
    assert found.why[share] == {"onInconclusive" if policy != "Hold" else "WaitsForVerdict": 1.0}


@pytest.mark.parametrize(
    ("idle", "share", "why"), [("Promote", "promoted", "whenIdle"), ("Hold", "undecided", "Unmeasured")]
)
def test_while_the_pool_sleeps_it_is_as_when_idle_says(idle: str, share: str, why: str) -> None:
    found = played(load(rate=0.0, pods=0), 1.0, runs=2, whenIdle=idle)
    assert found.why[share] == {why: 1.0}


def test_workers_that_take_more_than_ten_minutes_to_start_are_rejected() -> None:
    found = played(load(start=700.0), 1.0, runs=2)
    assert found.why["rejected"] == {"NotStarted": 1.0}
    assert found.jobs == 0.0


def test_workers_that_go_before_they_are_warm_are_never_judged() -> None:
    """A pool that wakes every five minutes for half a minute: the canary stays at its first step."""
    pool = parse(pool_body(scaling={"cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}}))
    arrivals = ([5.0] * 20 + [0.0] * 280) * 12
    run = simulate(pool, arrivals, pods=Pods(job_seconds=1.0, start_seconds=2.0, slots=1), name="a")
    found = played(run, 10.0, runs=5)
    assert found.why["undecided"] == {"StepRuns": 1.0}
    assert found.steps == {1: 1.0}
    assert found.failed > 0


# The load, cut up


def test_slices_hold_the_jobs_that_ended_and_the_pods() -> None:
    run = load(rate=2.0, seconds=100)
    first, *others = slices(run, since=30.0)
    assert (first.until, len(others)) == (30.0, 7)
    assert [one.jobs for one in others] == pytest.approx([20.0] * 7)
    assert {one.pods for one in others} == {10}


# What is said of it


def test_a_pool_that_rolls_has_no_canary_to_play() -> None:
    wishes = [Wish(ratio=1.0, failure_rate=0.01)]
    found = tried(load(), parse(pool_body(rollout={"strategy": "Rolling"})), wishes)
    assert (found.canaries, found.unsaid) == ((), "a: rollout.strategy is Rolling: no canary to play")


def test_a_load_that_ends_before_the_steps_can_is_said() -> None:
    wishes = [Wish(ratio=1.0, failure_rate=0.01, runs=2)]
    found = tried(load(seconds=900), parse(pool_body()), wishes)
    assert found.canaries[0].undecided == 1.0
    assert "its steps take 2,460 s at least" in found.unsaid
    assert tried(load(), parse(pool_body(rollout={"steps": ONE_STEP})), wishes).unsaid == ""
