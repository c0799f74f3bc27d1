"""A pool's own numbers (`spec.alerts.thresholds`) instead of those that stand in the alerts of the chart."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.component.alerts.cases import POOL, minutes, steps
from tests.component.alerts.installation import attempts, counter, depth, gauge, saturated, target
from tests.component.alerts.promtool import Case, Firing, Labels, Series, judge, told
from tests.component.alerts.test_installation import rules_of
from workerpool_operator.api import AlertThresholds

pytestmark = [pytest.mark.component, pytest.mark.promtool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a pool is held to by default, and what by a number of its own; each decides by `at` minutes."""

    alert: str
    loud: tuple[Series, ...]
    """More than the default."""
    raised: float
    """More than that."""
    low: tuple[Series, ...]
    """Less than the default."""
    lowered: float
    """Less than that."""
    at: float
    severity: str = "warning"

    @property
    def fires(self) -> list[Labels]:
        return [{**POOL, "severity": self.severity}]


def taken_over(share: float) -> tuple[Series, ...]:
    """Of ten jobs a second."""
    return (
        counter("jobs_redelivered_total", 10 * share, pod="w0"),
        counter("jobs_started_total", 10, pod="w0"),
    )


def repeated(share: float) -> tuple[Series, ...]:
    """Of ten jobs a second."""
    return counter("jobs_retried_total", 10 * share, pod="w0"), counter("jobs_started_total", 10, pod="w0")


def busy(slots: int) -> tuple[Series, ...]:
    """Of ten, while a limit holds the size."""
    return gauge("worker_jobs_in_progress", slots, lane="io", pod="w0"), *saturated(limited=True)[1:]


GIVEN_UP: Final = (counter("jobs_dead_lettered_total", 0.02, pod="w0"),)
"""18 jobs in 15 minutes."""

KINDS: Final[dict[str, Held]] = {
    "jobFailureRatio": Held(
        alert="JobFailureRatioHigh", loud=attempts(0.2), raised=0.3, low=attempts(0.05), lowered=0.03, at=12
    ),
    # No dead letter is less than the default of none.
    "deadLetters": Held(alert="DeadLettersGrowing", loud=GIVEN_UP, raised=20, low=(), lowered=0, at=10),
    "redeliveryRatio": Held(
        alert="RedeliveriesHigh", loud=taken_over(0.05), raised=0.1, low=taken_over(0.01), lowered=0.005, at=12
    ),
    "retryRatio": Held(alert="RetryBurst", loud=repeated(0.8), raised=0.9, low=repeated(0.3), lowered=0.2, at=12),
    "slotsBusyRatio": Held(alert="PoolSaturated", loud=busy(9), raised=0.95, low=busy(6), lowered=0.5, at=17),
    "loopLagSeconds": Held(
        alert="EventLoopBlocked",
        loud=(gauge("worker_loop_lag_seconds", 0.8, pod="w0"),),
        raised=2,
        low=(gauge("worker_loop_lag_seconds", 0.3, pod="w0"),),
        lowered=0.25,
        at=7,
    ),
    "cpuPercent": Held(
        alert="WorkerCpuSaturated",
        loud=(gauge("worker_cpu_percent", 99, pod="w0"),),
        raised=150,
        low=(gauge("worker_cpu_percent", 60, pod="w0"),),
        lowered=50,
        at=13,
        severity="info",
    ),
}
each_kind = pytest.mark.parametrize(("kind", "held"), KINDS.items(), ids=KINDS.keys())
LOWER: Final = {kind: held for kind, held in KINDS.items() if held.low}


def verdict(held: Held, *series: Series, firing: Firing, folder: Path, rules: Mapping[str, Any] | None = None) -> None:
    """Exactly these alerts fire."""
    case = Case(series=series, seconds=max(firing), alert=held.alert, firing=firing)
    found = judge(rules or rules_of(held.alert), case, folder=folder)
    assert found.as_expected, found.text


def never(until: float) -> Firing:
    """At no minute."""
    return {minutes(minute): [] for minute in range(1, round(until) + 1)}


def test_each_number_that_a_pool_may_set_is_one_that_an_alert_reads() -> None:
    """Those of the targets have their stories, as every alert has."""
    names = {field.alias for field in AlertThresholds.model_fields.values()}
    assert names == KINDS.keys() | {"queueDepth", "jobWaitSeconds"}


@each_kind
def test_a_higher_number_keeps_it_silent(kind: str, held: Held, tmp_path: Path) -> None:
    """Where the default makes it fire; two operators export the number."""
    verdict(held, *held.loud, firing={minutes(held.at): held.fires}, folder=tmp_path)
    verdict(held, *held.loud, *target(kind, held.raised), firing=never(held.at + 5), folder=tmp_path)


@pytest.mark.parametrize(("kind", "held"), LOWER.items(), ids=LOWER.keys())
def test_a_lower_number_makes_it_fire(kind: str, held: Held, tmp_path: Path) -> None:
    """Where it is silent by the default."""
    verdict(held, *held.low, firing=never(held.at + 5), folder=tmp_path)
    verdict(held, *held.low, *target(kind, held.lowered), firing={minutes(held.at): held.fires}, folder=tmp_path)


@each_kind
def test_it_fires_once_where_its_own_number_is_exceeded_as_well(kind: str, held: Held, tmp_path: Path) -> None:
    """By the one, not by the one and by the default."""
    fires: Firing = {minutes(held.at): held.fires}
    verdict(held, *held.loud, *target(kind, held.lowered), firing=fires, folder=tmp_path)


def exported(kind: str, value: float, *, until: float, back: float = 10**6, pod: str = "o0") -> tuple[Series, ...]:
    """By an operator that tells of the pool, but not between these minutes."""
    moments = ((0, 1.0), (minutes(until), None), (minutes(back), 1.0))
    return (
        gauge("workerpool_info", steps(*moments), mode="direct", pod=pod),
        gauge("workerpool_threshold", steps(*((at, on and value) for at, on in moments)), kind=kind, pod=pod),
    )


def held_for(span: str) -> dict[str, Any]:
    """The rules with another time for which a threshold holds while nobody tells of the pool."""
    text = yaml.safe_dump(rules_of("DeadLettersGrowing"), width=10_000)
    assert text.count("[10m]") == 1
    changed: dict[str, Any] = yaml.safe_load(text.replace("[10m]", span))
    return changed


GROWING: Final = KINDS["deadLetters"]
"""The alert that waits for nothing: whatever is missing for a moment would be seen."""


def test_an_operator_that_restarts_leaves_the_number_as_it_is(tmp_path: Path) -> None:
    """And one that takes over. It would be otherwise if nothing held on."""
    restarted = exported("deadLetters", GROWING.raised, until=20, back=27)
    verdict(GROWING, *GROWING.loud, *restarted, firing=never(40), folder=tmp_path)
    another = gauge("workerpool_threshold", steps((0, None), (minutes(27), 20)), kind="deadLetters", pod="o1")
    taken = (*exported("deadLetters", GROWING.raised, until=20), another)
    verdict(GROWING, *GROWING.loud, *taken, firing=never(40), folder=tmp_path)
    at_once: Firing = {minutes(19): [], minutes(22): GROWING.fires, minutes(29): []}
    verdict(GROWING, *GROWING.loud, *restarted, firing=at_once, folder=tmp_path, rules=held_for("[1m]"))


def test_while_no_operator_is_there_for_long_the_default_counts(tmp_path: Path) -> None:
    """Ten minutes after it has gone."""
    gone = exported("deadLetters", GROWING.raised, until=20)
    firing: Firing = {minutes(19): [], minutes(29): [], minutes(31): GROWING.fires, minutes(40): GROWING.fires}
    verdict(GROWING, *GROWING.loud, *gone, firing=firing, folder=tmp_path)


def test_a_number_that_the_pool_takes_back_counts_no_longer(tmp_path: Path) -> None:
    """At once: the operator that tells of the pool says so."""
    _, own = exported("deadLetters", GROWING.raised, until=20)
    always = gauge("workerpool_info", 1, mode="direct", pod="o0")
    firing: Firing = {minutes(19): [], minutes(21): GROWING.fires}
    verdict(GROWING, *GROWING.loud, always, own, firing=firing, folder=tmp_path)


def test_of_two_operators_that_do_not_agree_the_higher_number_counts(tmp_path: Path) -> None:
    """For the moment in which one has not seen the pool's change."""
    held = KINDS["jobFailureRatio"]
    first, second = (gauge("workerpool_threshold", n, kind="jobFailureRatio", pod=f"o{n}") for n in (0.01, 0.3))
    verdict(held, *held.loud, first, second, firing=never(held.at + 5), folder=tmp_path)


@each_kind
def test_that_of_another_pool_counts_for_that_pool_only(kind: str, held: Held, tmp_path: Path) -> None:
    """Of the same namespace, or of the same name in another."""
    others = (
        Series(metric=one.metric, labels={**one.labels, **other}, values=one.values)
        for one in target(kind, held.raised)
        for other in ({"pool": "other"}, {"namespace": "other"})
    )
    verdict(held, *held.loud, *others, firing={minutes(held.at): held.fires}, folder=tmp_path)


@pytest.mark.parametrize("own", [(), target("redeliveryRatio", 0.5)], ids=["the default", "a number of its own"])
def test_jobs_that_are_taken_over_while_none_begins_are_a_share_as_well(
    own: tuple[Series, ...], tmp_path: Path
) -> None:
    """One that is above every number."""
    held = KINDS["redeliveryRatio"]
    series = (counter("jobs_redelivered_total", 0.5, pod="w0"), counter("jobs_started_total", 0, pod="w0"))
    verdict(held, *series, *own, firing={minutes(held.at): held.fires}, folder=tmp_path)


SAID: Final = {
    "jobFailureRatio": (
        attempts(0.2),
        "many jobs fail at their first attempt",
        (
            "20% of the first attempts of the last 15 minutes failed, more than spec.alerts.thresholds.jobFailureRatio "
            "allows (0.1 unless it is set)."
        ),
    ),
    "retryRatio": (
        repeated(0.8),
        "much of its work is repeated work",
        (
            "About 2.4k attempts of the last 5 minutes are to be repeated: a larger share of all than "
            "spec.alerts.thresholds.retryRatio allows (0.5 unless it is set)."
        ),
    ),
}


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("own", [True, False], ids=["a number of its own", "the default"])
def test_it_says_how_many_there_are_and_not_how_many_there_may_be(kind: str, *, own: bool, tmp_path: Path) -> None:
    """The same, whichever number is exceeded."""
    held, (series, summary, description) = KINDS[kind], SAID[kind]
    case = Case(
        series=(*series, *(target(kind, held.lowered) if own else ())),
        seconds=minutes(20),
        alert=held.alert,
        firing={},
    )
    said = {"summary": f"Pool media/thumbs: {summary}", "description": description}
    alert = {"labels": {**POOL, "severity": "warning"}, "annotations": said}
    found = told(rules_of(held.alert), case, [alert], folder=tmp_path)
    assert found.as_expected, found.text


def test_a_promise_is_judged_by_the_target_and_by_no_threshold(tmp_path: Path) -> None:
    """One that lets more wait hides no broken promise, one that lets none wait breaks none."""
    promise = gauge("workerpool_slo_objective", 0.99, slo="queueDepth", pod="o0")
    burns = [{**POOL, "slo": "queueDepth", "severity": "critical"}]
    for waiting, threshold, fires in ((300, 1000, burns), (100, 0, [])):
        series = (depth(waiting), promise, *target("sloQueueDepth", 200), *target("queueDepth", threshold))
        case = Case(series=series, seconds=minutes(30), alert="SloBudgetBurnsFast", firing={minutes(30): fires})
        found = judge(rules_of("SloBudgetBurnsFast"), case, folder=tmp_path)
        assert found.as_expected, found.text
