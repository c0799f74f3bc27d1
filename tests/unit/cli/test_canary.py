"""What is said of a rollout: pure, from a pool's status."""

import json
from typing import Any

import pytest

from workerpool_operator.cli.canary import Phase, canary_of
from workerpool_operator.domain.rollout.judge import Cause
from workerpool_operator.domain.rollout.steps import State, Wait, dump_state

STEPS = [{"weight": 10, "minJobs": 200, "durationSeconds": 1800}, {"weight": 50, "durationSeconds": 600}]


def pool(*, conditions: tuple[dict[str, Any], ...] = (), **rollout: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "thumbs", "namespace": "media", "generation": 1},
        "spec": {"rollout": {"strategy": "Canary", "steps": STEPS, "analysis": {"tolerateRatio": "1.5"}}},
        "status": {"rollout": rollout, "conditions": list(conditions)},
    }


def tried(**more: Any) -> dict[str, Any]:
    """One that is tried, at its first step."""
    found = {
        "stable": "aa",
        "wanted": "bb",
        "canary": "bb",
        "step": 1,
        "weight": 10,
        "podShare": "0.25",
        "jobShare": "0.21",
        "verdict": "Inconclusive",
        "cause": "Evidence",
        "wait": "StepRuns",
        "signal": "failures",
        "ratio": "1.2",
        "ratioLow": "0.4",
        "ratioHigh": "3.6",
        "minimumDetectableRatio": "4.1",
        "jobs": 120,
        "failures": 5,
        "measuredSeconds": 300,
    }
    return found | more


def told(**rollout: Any) -> str:
    canary = canary_of(pool(**rollout))
    assert canary is not None
    return "\n".join(canary.lines)


def test_an_undecided_canary_is_told_with_all_that_it_hangs_on() -> None:
    """Step, shares, criterion, interval, what is missing in figures, and what it waits for."""
    assert told(**tried()).splitlines() == [
        "version bb is tried beside aa: step 1 of 2, 10 % of the workers (now 0.25 of the workers, 0.21 of the jobs)",
        "verdict Inconclusive by Evidence: the signals",
        "failures: 1.2 times the stable version's rate (95 % interval: 0.4 to 3.6)",
        "5 of 120 first attempts of the canary failed, both versions measured for 300 s",
        "by now 4.1 times the stable version's rate would have been found",
        "it passes when shown to be below 3 times, or below a rate of 0.01; it fails above 1.5 times",
        "this step still takes 80 jobs and 1500 s of measuring",
        "waits: StepRuns: the step's time or jobs are not complete",
    ]


def test_a_later_step_counts_from_its_own_begin() -> None:
    """Which only what the operator remembers tells."""
    memory = json.dumps({"state": dump_state(State(stable="aa", canary="bb", step=1, began_seconds=1800.0))})
    assert "still takes 500 s" in told(**tried(step=2, measuredSeconds=1900, memory=memory))
    assert "still takes" not in told(**tried(step=2, measuredSeconds=2400, memory=memory))
    assert "still takes 500 s" in told(**tried(step=2, measuredSeconds=100, memory=memory)), "its evidence was lost"


@pytest.mark.parametrize("memory", ["", "{", "[]", '{"state": 3}'])
def test_a_memory_that_cannot_be_read_is_that_of_a_first_step(memory: str) -> None:
    assert "still takes 80 jobs" in told(**tried(memory=memory))


def test_without_a_ratio_no_interval_is_shown() -> None:
    """Of a version of which nothing has failed yet, from 0 to nothing says nothing."""
    said = told(**tried(ratio="", ratioLow="0", ratioHigh="", failures=0))
    assert "interval" not in said
    assert "0 of 120 first attempts" in said
    assert "(95 % interval: 0.4 to no limit)" in told(**tried(ratioHigh=""))
    said = told(**tried(signal="crashes", ratio="", ratioLow="2.1", ratioHigh=""))
    assert "crashes: more than 2.1 times the stable version's rate (95 %), which had none" in said


def test_what_has_a_verdict_needs_no_word_on_what_would_decide() -> None:
    said = told(**tried(verdict="Fail", cause="SLO", wait="WaitsForAbortion"))
    assert "verdict Fail by SLO: the canary breaches the pool's SLO" in said
    assert "it passes when" not in said
    assert "waits: WaitsForAbortion: it failed, and people decide" in said


def test_objectives_come_with_what_they_allow() -> None:
    one = {"name": "availability", "allowed": "0.01", "canary": "0.05"}
    assert "objective availability: 0.05 of the canary's jobs miss it, none of the stable; 0.01 may" in told(
        **tried(objectives=[one])
    )


def test_words_of_another_release_stay_as_they_are() -> None:
    said = told(**tried(cause="Horoscope", wait="WaitsForMoon"))
    assert "verdict Inconclusive by Horoscope\n" in said
    assert said.endswith("waits: WaitsForMoon")


def test_every_word_of_this_release_is_explained() -> None:
    for cause in Cause:
        assert f"by {cause}: " in told(**tried(cause=cause))
    for wait in set(Wait) - {Wait.NONE}:
        assert f"waits: {wait}: " in told(**tried(wait=wait))


def test_phases() -> None:
    def phase(**rollout: Any) -> Phase | None:
        canary = canary_of(pool(**rollout))
        return canary.phase if canary else None

    assert phase() is None
    assert phase(**tried()) is Phase.TRYING
    assert phase(**tried(wait="Paused")) is Phase.PAUSED
    assert phase(stable="aa", wanted="aa") is Phase.STABLE
    assert phase(stable="aa", wanted="bb") is Phase.REPLACING
    assert phase(stable="aa", wanted="bb", rejected=["bb"]) is Phase.REJECTED


def test_one_that_was_rejected_is_told_with_why() -> None:
    healthy = {
        "type": "CanaryHealthy",
        "status": "False",
        "reason": "CanaryRejected",
        "message": "bb was rejected: failures at 9 times the stable rate",
        "observedGeneration": 1,
    }
    canary = canary_of(pool(conditions=(healthy,), stable="aa", wanted="bb", rejected=["bb"]))
    assert canary is not None
    assert canary.lines == (
        "version bb, which the pool asks for, was tried and rejected; aa runs",
        "bb was rejected: failures at 9 times the stable rate",
        "waits: another version, or wpool rollout retry thumbs -n media: it is not tried again by itself",
    )
