"""The verdict on a canary: what counts, what holds, and how often it is right."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.canary import in_runs, never, rows_of, whole_run
from workerpool_operator.cli.simulate.dice import Dice
from workerpool_operator.domain.rollout.evidence import Evidence, Signal, SignalEvidence, dump, load
from workerpool_operator.domain.rollout.judge import (
    Assessment,
    Cause,
    Finding,
    Rules,
    Verdict,
    Watch,
    assess,
    find,
    look,
    storable,
)
from workerpool_operator.domain.rollout.ledger import Ledger, Reading, Side
from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.spread import Spread

RULES = Rules()


def readings(at: float, *, canary: float = 0.0, stable: float = 0.0, **fields: Any) -> tuple[Reading, ...]:
    """Two pods of each version, each with 10 jobs a second of which this part failed."""
    known: dict[str, Any] = {"start": "1", "age_seconds": 600.0, "heard_at": at, "in_flight": 0, "first_slow": 0}
    return tuple(
        Reading(
            uid=f"{side}-{number}",
            side=side,
            **known
            | {
                "started": int(10 * at),
                "finished": int(10 * at),
                "first_attempts": int(10 * at),
                "first_failures": int(10 * at * part),
            }
            | fields,
        )
        for side, part in ((Side.CANARY, canary), (Side.STABLE, stable))
        for number in range(2)
    )


def judged(
    looks: Sequence[tuple[float, tuple[Reading, ...] | None]],
    *,
    rules: Rules = RULES,
    evidence: Evidence | None = None,
    watch: Watch | None = None,
) -> tuple[Evidence, Watch]:
    evidence, watch = evidence or Evidence(nulls=rules.nulls), watch or Watch()
    for now, seen in looks:
        evidence, watch = look(evidence, watch, seen, now=now, rules=rules, lease_seconds=60.0, fresh_seconds=30.0)
    return evidence, watch


def verdict(evidence: Evidence, watch: Watch, *, rules: Rules = RULES) -> Assessment:
    return assess(evidence, watch.ledger, rules=rules)


def test_nothing_is_known_of_a_canary_that_did_nothing() -> None:
    found = verdict(*judged([]))
    assert (found.verdict, found.cause, found.worst) == (Verdict.INCONCLUSIVE, Cause.EVIDENCE, None)


def test_a_canary_that_fails_is_found_by_the_signal_that_shows_it() -> None:
    found = verdict(*judged([(at, readings(at, canary=0.5, stable=0.01)) for at in (0.0, 10.0)]))
    assert (found.verdict, found.cause) == (Verdict.FAIL, Cause.EVIDENCE)
    assert found.worst is not None
    assert found.worst.signal is Signal.FAILURES
    assert found.worst.ratio == pytest.approx(50)
    assert found.worst.low < 50 < (found.worst.high or 0)


def test_a_canary_that_fails_in_one_pod_and_one_minute_is_not_rejected_yet() -> None:
    one = SignalEvidence(incidents=1).plus(Interval(50, 30, 950, 5), nulls=RULES.nulls)
    jobs = one.total
    assert find(Signal.FAILURES, one, jobs=jobs, rules=RULES).verdict is Verdict.INCONCLUSIVE
    again = replace(one, incidents=2)
    assert find(Signal.FAILURES, again, jobs=jobs, rules=RULES).verdict is Verdict.FAIL


def test_failures_that_cluster_weigh_less() -> None:
    by_itself = SignalEvidence(incidents=9).plus(Interval(500, 30, 9500, 200), nulls=RULES.nulls)
    uneven = Spread(cells=19, trials=9500.0, failures=200, squares=200.0, rates=0.4)
    clustered = replace(by_itself, stable_cells=uneven)
    assert find(Signal.FAILURES, by_itself, jobs=by_itself.total, rules=RULES).verdict is Verdict.FAIL
    found = find(Signal.FAILURES, clustered, jobs=by_itself.total, rules=RULES)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.phi > 20
    assert (found.detectable or 0) > 2


def test_an_outage_that_hits_both_fails_nobody() -> None:
    found = verdict(*judged([(at, readings(at, canary=0.9, stable=0.9)) for at in (0.0, 10.0, 20.0)]))
    assert found.verdict is not Verdict.FAIL
    assert found.findings[0].ratio == pytest.approx(1.0)


def test_a_pool_that_never_fails_passes() -> None:
    found = verdict(*judged([(at, readings(at)) for at in (0.0, 10.0, 20.0)]))
    assert found.verdict is Verdict.PASS
    assert found.worst is not None
    assert (found.worst.ratio, found.worst.high, found.worst.detectable) == (None, None, None)
    assert whole_run(Dice(random.Random(1)), never, rules=RULES) is Verdict.PASS


def test_a_canary_that_fails_where_the_stable_version_never_did_has_no_ratio_but_a_lower_limit() -> None:
    found = verdict(*judged([(at, readings(at, canary=0.5)) for at in (0.0, 10.0)]))
    assert found.verdict is Verdict.FAIL
    assert found.worst is not None
    assert (found.worst.ratio, found.worst.high) == (None, None)
    assert found.worst.low > 1


def test_of_signals_that_show_nothing_yet_the_worse_one_is_shown_first() -> None:
    found = Assessment(
        verdict=Verdict.INCONCLUSIVE,
        findings=tuple(
            Finding(signal=signal, verdict=Verdict.INCONCLUSIVE, total=Interval(), ratio=None, low=low)
            for signal, low in ((Signal.CRASHES, 0.0), (Signal.FAILURES, 0.7), (Signal.SLOW, 0.1))
        ),
    )
    assert found.worst is not None
    assert found.worst.signal is Signal.FAILURES


def test_one_signal_that_has_not_passed_keeps_the_canary_from_passing() -> None:
    slow = [(at, readings(at, first_slow=int(at / 5))) for at in (0.0, 10.0, 20.0)]
    found = verdict(*judged(slow))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.worst is not None
    assert found.worst.signal is Signal.SLOW


def test_the_clock_counts_only_where_both_versions_were_heard() -> None:
    evidence, watch = judged([(at, readings(at)) for at in (0.0, 10.0, 20.0)])
    assert (evidence.measured_seconds, evidence.unmeasured_seconds) == (20.0, 0.0)
    evidence, watch = judged(
        [(30.0, None), (40.0, readings(0.0)), (50.0, readings(0.0))], evidence=evidence, watch=watch
    )
    assert (evidence.measured_seconds, evidence.unmeasured_seconds) == (20.0, 30.0)
    evidence, _ = judged([(60.0, readings(60.0))], evidence=evidence, watch=watch)
    assert (evidence.measured_seconds, evidence.unmeasured_seconds) == (30.0, 0.0)


def test_a_version_that_only_warms_up_is_not_measured() -> None:
    evidence, _ = judged([(at, readings(at, age_seconds=at)) for at in (0.0, 10.0)])
    assert evidence.measured_seconds == 0.0


def test_a_collector_that_is_away_costs_time_and_no_canary() -> None:
    before = judged([(at, readings(at)) for at in (0.0, 10.0, 20.0)])
    evidence, watch = judged([(at, None) for at in (100.0, 400.0)], evidence=before[0], watch=before[1])
    assert evidence.signals == before[0].signals
    assert verdict(evidence, watch).verdict is Verdict.PASS
    evidence, watch = judged([(1000.0, None)], evidence=evidence, watch=watch)
    found = verdict(evidence, watch)
    assert (found.verdict, found.cause) == (Verdict.INCONCLUSIVE, Cause.UNMEASURED)


def test_what_was_stored_goes_on_without_its_baselines() -> None:
    evidence, watch = judged([(at, readings(at, canary=0.02, stable=0.02)) for at in (0.0, 10.0)])
    stored = dump(storable(evidence, watch.ledger))
    resumed = load(stored, nulls=RULES.nulls)
    before, after = verdict(evidence, watch), verdict(resumed, Watch())
    assert after == before
    resumed, watch = judged([(1000.0, readings(1000.0)), (1010.0, readings(1010.0))], evidence=resumed)
    assert resumed.measured_seconds == 20.0
    assert resumed.signals[Signal.FAILURES].total.canary_trials == 400


def test_a_pod_that_ends_leaves_its_part_of_how_failures_are_spread() -> None:
    evidence, watch = judged([(at, readings(at, canary=0.1, stable=0.2)) for at in (0.0, 10.0)])
    evidence, watch = judged([(20.0, ())], evidence=evidence, watch=watch)
    assert watch.ledger == Ledger()
    one = evidence.signals[Signal.FAILURES]
    assert (one.canary_cells.cells, one.canary_cells.failures) == (2, 20)
    assert (one.stable_cells.cells, one.stable_cells.failures) == (2, 40)


def test_a_budget_of_failures_ends_a_canary_whatever_the_ratio() -> None:
    seen = judged([(at, readings(at, canary=0.9, stable=0.9)) for at in (0.0, 10.0)])
    rules = Rules(failure_budget=179)
    found = verdict(*seen, rules=rules)
    assert (found.verdict, found.cause) == (Verdict.FAIL, Cause.BUDGET)
    assert verdict(*seen, rules=replace(rules, failure_budget=180)).verdict is not Verdict.FAIL


@pytest.mark.parametrize(
    ("case", "least_right", "passes"),
    [((50, 1, (60,)), 94.0, True), ((50, 3, (60,)), 94.0, False), ((50, 5, (60,)), 99.0, False)],
)
def test_the_judge_is_right_as_often_as_it_says(
    case: tuple[int, int, tuple[int, ...]],
    least_right: float,
    passes: bool,  # noqa: FBT001
) -> None:
    """Rows of `make bench-canary`, with fewer runs: 97.5, 97.5 and 100 % are known."""
    (row,) = rows_of(Dice(random.Random(3)), case, runs=150)
    assert (row.pass_percent if passes else row.fail_percent) >= least_right
    assert row.median_minutes is not None
    assert row.median_minutes <= 12


def test_runs_of_failures_reject_hardly_a_good_canary() -> None:
    dice = Dice(random.Random(4))
    ends = [whole_run(dice, in_runs, rules=RULES) for _ in range(12)]
    assert ends.count(Verdict.FAIL) <= 1
