"""What looks like trouble and is none: pools that are new, that somebody stopped, that do what they were told."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.component.alerts.cases import POOL, minutes, steps
from tests.component.alerts.installation import ALL, counter, depth, gauge, own, rising, saturated
from tests.component.alerts.promtool import Case, Firing, Labels, Series, judge
from workerpool_operator.api import Limiter

pytestmark = [pytest.mark.component, pytest.mark.promtool]

ROOT: Final = Path(__file__).parents[3]
RULES: Final[dict[str, Any]] = yaml.safe_load((ROOT / "charts" / "workerpool-operator" / "alerts.yaml").read_text())


def never(alert: str, *series: Series, until: float) -> Case:
    """At no minute of these."""
    firing: Firing = {minutes(minute): [] for minute in range(1, round(until) + 1)}
    return Case(series=series, seconds=minutes(until), alert=alert, firing=firing)


def told(alert: str, *series: Series, since: float, severity: str = "warning", about: Labels = POOL) -> Case:
    """Not in the two minutes before that one, and then."""
    before, after = minutes(since) - 120, minutes(since) + 60
    firing: Firing = {before: [], after: [{**about, "severity": severity}]}
    return Case(series=series, seconds=after, alert=alert, firing=firing)


def stopped(*, since: float, until: float = 10**6) -> Series:
    """The pool is suspended for so long (minutes)."""
    values = steps((0, None), (minutes(since), 1), (minutes(until), None))
    return gauge("workerpool_limited_by", values, limiter="suspended", pod="o0")


AWAY: Final = steps((0, 5), (minutes(20), None), (minutes(23), 5))
"""As many as a collector tells of that is replaced meanwhile."""
WORKS: Final = counter("jobs_processed_total", 1, until=10, lane="io", pod="w0")

DRAINING: Final[dict[str, Case]] = {
    "a pool that was born with a backlog": never("QueueNotDraining", depth(5), until=19),
    "the same, when its workers have not come for twenty minutes": told(
        "QueueNotDraining", depth(5), since=22, severity="critical"
    ),
    "a pool that somebody stopped": never("QueueNotDraining", depth(5), WORKS, stopped(since=8), until=60),
    "a pool that goes on after a night": never(
        "QueueNotDraining", depth(5), WORKS, stopped(since=8, until=60), until=79
    ),
    "the same, when it does nothing": told(
        "QueueNotDraining", depth(5), WORKS, stopped(since=8, until=60), since=82, severity="critical"
    ),
    "a collector that is away for three minutes": told(
        "QueueNotDraining", depth(AWAY), WORKS, since=32, severity="critical"
    ),
}


@pytest.mark.parametrize("case", DRAINING.values(), ids=DRAINING.keys())
def test_what_has_not_been_seen_to_stand_still_wakes_nobody(case: Case, tmp_path: Path) -> None:
    """Twenty minutes in which jobs could have been done, and somebody looked."""
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


def answers(values: Callable[[int], float | None] | float, *, code: str, kind: str = "values") -> Series:
    """How many the external metrics API has given; `kind`: to what."""
    return own("workerpool_operator_external_metrics_requests_total", values, code=code, kind=kind)


def scaled_by(mode: str, *, workers: int = 3) -> tuple[Series, ...]:
    """A pool of this mode, with so many workers."""
    return gauge("workerpool_info", 1, mode=mode, pod="o0"), gauge("workerpool_replicas", workers, pod="o0")


UNTIL_TEN: Final = answers(lambda now: float(min(now, minutes(10))), code="200")
"""Questions arrive, and are answered, for ten minutes."""
NONE_YET: Final = answers(0, code="200")

ASKED: Final[dict[str, Case]] = {
    "no question arrives any more": told(
        "MetricsApiDown", *scaled_by("hpa"), UNTIL_TEN, since=21, severity="critical", about=ALL
    ),
    "none has ever arrived": told(
        "MetricsApiDown", *scaled_by("hpa"), NONE_YET, since=6, severity="critical", about=ALL
    ),
    "all are refused": told(
        "MetricsApiDown",
        *scaled_by("hpa"),
        UNTIL_TEN,
        answers(rising(1), code="401", kind="other"),
        since=21,
        severity="critical",
        about=ALL,
    ),
    "pools that sleep have no HPA that asks": never(
        "MetricsApiDown", *scaled_by("hpa", workers=0), UNTIL_TEN, until=30
    ),
    "another one serves the metric": never("MetricsApiDown", *scaled_by("hpa"), until=30),
    "pools that need no HPA": never("MetricsApiDown", *scaled_by("direct"), NONE_YET, until=30),
    "pools that are gone, asked about": never(
        "MetricsApiDown", *scaled_by("direct"), NONE_YET, answers(rising(1), code="404"), until=30
    ),
}


@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED.keys())
def test_hpas_without_numbers_are_told_of_and_those_that_need_none_are_not(case: Case, tmp_path: Path) -> None:
    """Also when nothing arrives, and whatever anybody else sends."""
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


HOLD_IT_BACK: Final = {
    Limiter.MAX_REPLICAS,
    Limiter.DOWNSTREAM,
    Limiter.DOWNSTREAM_CONCURRENCY,
    Limiter.RATE_LIMIT,
    Limiter.PARTITIONS,
    Limiter.BUDGET,
    Limiter.SCALE_UP_RATE,
    Limiter.FROZEN,
    Limiter.HPA,
}


@pytest.mark.parametrize("fires", [True, False], ids=["may not grow", "may not shrink"])
def test_a_busy_pool_is_told_of_where_a_limit_keeps_it_from_growing(*, fires: bool, tmp_path: Path) -> None:
    """One at its smallest size, whose work asks for fewer, is as large as it should be. Each limit is one or other."""
    limiters = HOLD_IT_BACK if fires else set(Limiter) - HOLD_IT_BACK
    pools = [f"{limiter}".lower() for limiter in limiters]
    series = (
        one
        for limiter, pool in zip(limiters, pools, strict=True)
        for one in (
            *saturated(limited=False),
            gauge("workerpool_limited_by", 1, limiter=limiter, pod="o0"),
        )
        for one in (replace(one, labels={**one.labels, "pool": pool}),)
    )
    told = [{"namespace": "media", "pool": pool, "severity": "warning"} for pool in pools] if fires else []
    case = Case(series=tuple(series), seconds=minutes(17), alert="PoolSaturated", firing={minutes(17): told})
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


def swings(*, phase: float) -> Callable[[int], float]:
    """Between 80 and 160 MB within 50 minutes, as large jobs come and go."""
    return lambda now: 1.2e8 + 4e7 * math.sin(2 * math.pi * (now / minutes(50) + phase))


MEMORY: Final[dict[str, Case]] = {
    "workers that swing in turn": never(
        "WorkerMemoryGrowing",
        *(gauge("worker_memory_bytes", swings(phase=number / 4), pod=f"w{number}") for number in range(4)),
        until=300,
    ),
    "workers that fill their caches, and no more": never(
        "WorkerMemoryGrowing",
        gauge("worker_memory_bytes", lambda now: 8e7 + 1.6e8 * min(1, now / minutes(20)), pod="w0"),
        until=300,
    ),
    "workers that are replaced by others that need more": never(
        "WorkerMemoryGrowing",
        gauge("worker_memory_bytes", steps((0, 8e7), (minutes(160), None)), pod="w0"),
        gauge("worker_memory_bytes", steps((0, None), (minutes(160), 1.6e8)), pod="w1"),
        until=360,
    ),
}


@pytest.mark.parametrize("case", MEMORY.values(), ids=MEMORY.keys())
def test_memory_that_comes_and_goes_is_no_leak(case: Case, tmp_path: Path) -> None:
    """One and the same worker has to have more, for long, and to go on."""
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text
