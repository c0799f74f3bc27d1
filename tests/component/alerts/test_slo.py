"""What burns which promise, how fast, and when somebody is told: each kind of promise, and each pair of windows."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.component.alerts.cases import POOL, minutes, steps
from tests.component.alerts.installation import counter, depth, gauge, target
from tests.component.alerts.promtool import Case, Firing, Labels, Series, judge, recorded

pytestmark = [pytest.mark.component, pytest.mark.promtool]

ROOT: Final = Path(__file__).parents[3]
RULES: Final[dict[str, Any]] = yaml.safe_load((ROOT / "charts" / "workerpool-operator" / "alerts.yaml").read_text())
FAST, SLOW = "SloBudgetBurnsFast", "SloBudgetBurns"
SEVERITY: Final = {FAST: "critical", SLOW: "warning"}


def promise(slo: str, objective: float) -> Series:
    return gauge("workerpool_slo_objective", objective, slo=slo, pod="o0")


def failing(times: float, *, until: float = 10**6) -> tuple[Series, ...]:
    """One job in a thousand may fail, and so many times as many do, from the beginning to this minute."""
    return (
        promise("availability", 0.999),
        counter("jobs_first_attempts_total", 10, pod="w0"),
        counter("jobs_first_failures_total", 0.01 * times, until=until, pod="w0"),
    )


def told(alert: str, slo: str = "availability") -> list[Labels]:
    return [{**POOL, "slo": slo, "severity": SEVERITY[alert]}]


def at(alert: str, **moments: bool) -> Firing:
    """Whether it fires at minute N, given as mN."""
    return {minutes(float(name[1:])): told(alert) if fires else [] for name, fires in moments.items()}


SPEEDS: Final[dict[str, tuple[str, tuple[Series, ...], Firing]]] = {
    "20 times, told at once": (FAST, failing(20), at(FAST, m4=True, m60=True)),
    "20 times for half an hour, not told any more soon after": (
        FAST,
        failing(20, until=30),
        at(FAST, m25=True, m70=False),
    ),
    "10 times, by the windows of six hours and half an hour": (FAST, failing(10), at(FAST, m30=True)),
    "5.5 times, once it has lasted": (FAST, failing(5.5), at(FAST, m90=False, m125=True)),
    "4.5 times wakes nobody": (FAST, failing(4.5), at(FAST, m30=False, m180=False)),
    "4.5 times is seen today": (SLOW, failing(4.5), at(SLOW, m30=True)),
    "2.5 times is": (SLOW, failing(2.5), at(SLOW, m30=True)),
    "1.5 times is": (SLOW, failing(1.5), at(SLOW, m30=True)),
    "1.5 times that has ended is not, six hours later": (
        SLOW,
        failing(1.5, until=60),
        at(SLOW, m50=True, m425=False),
    ),
    "less than may be": (SLOW, failing(0.9), at(SLOW, m30=False, m300=False)),
}


@pytest.mark.parametrize(("alert", "series", "firing"), SPEEDS.values(), ids=SPEEDS.keys())
def test_how_fast_it_burns_decides_who_is_told(
    alert: str, series: tuple[Series, ...], firing: Firing, tmp_path: Path
) -> None:
    """And for how long."""
    case = Case(series=series, seconds=max(firing), alert=alert, firing=firing)
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


def late(share: float) -> tuple[Series, ...]:
    """So many of the jobs end later than was promised."""
    return (
        promise("latency", 0.99),
        counter("jobs_first_attempts_total", 10, pod="w0"),
        counter("jobs_first_late_total", 10 * share, pod="w0"),
    )


def waiting(jobs: float) -> tuple[Series, ...]:
    """More than 200 may wait for one minute in a hundred."""
    return promise("queueDepth", 0.99), depth(jobs), *target("sloQueueDepth", 200)


def done(rate: float) -> tuple[Series, ...]:
    """Jobs wait, and so many are done in a second."""
    return promise("throughput", 0.99), depth(5), counter("jobs_processed_total", rate, lane="io", pod="w0")


KINDS: Final = {
    "latency": (late(0.3), late(0.005)),
    "queueDepth": (waiting(300), waiting(100)),
    "throughput": (done(0), done(1)),
    "throughput, with nobody who tells of jobs": ((promise("throughput", 0.99), depth(5)), done(0.1)),
    "throughput, of a pool that somebody stopped": (
        done(0),
        (*done(0), gauge("workerpool_limited_by", 1, limiter="suspended", pod="o0")),
    ),
    "throughput, with nothing to do": (
        done(0),
        (promise("throughput", 0.99), depth(steps((0, 0))), counter("jobs_processed_total", 0, lane="io", pod="w0")),
    ),
}


@pytest.mark.parametrize(("broken", "kept"), KINDS.values(), ids=KINDS.keys())
def test_each_kind_of_promise_is_watched(
    broken: tuple[Series, ...], kept: tuple[Series, ...], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Told where it is broken, by its name; silent where it is kept."""
    slo = request.node.callspec.id.partition(",")[0]
    for series, fires in ((broken, True), (kept, False)):
        firing: Firing = {minutes(30): told(FAST, slo) if fires else []}
        verdict = judge(RULES, Case(series=series, seconds=minutes(30), alert=FAST, firing=firing), folder=tmp_path)
        assert verdict.as_expected, verdict.text


def for_an_hour(rate: float, *, metric: str) -> Series:
    """Of a pool that sleeps afterwards."""
    return gauge(metric, lambda now: rate * now if now < minutes(60) else None, pod="w0")


HALF_OF_IT: Final = (
    for_an_hour(10, metric="jobs_first_attempts_total"),
    for_an_hour(0.005, metric="jobs_first_failures_total"),
)
LEFT: Final[dict[str, tuple[tuple[Series, ...], float, float | None]]] = {
    "all, where nothing went wrong": (failing(0), 125, 1),
    "half of it": (failing(0.5), 125, 0.5),
    "none, and as much again is missing": (failing(2), 125, -1),
    "what went wrong in an hour is a part of what was done in four": (failing(20, until=60), 245, -4),
    "a pool that sleeps uses up nothing": ((promise("availability", 0.999), *HALF_OF_IT), 245, 0.5),
    "nothing is said of the first minutes": (failing(20), 20, None),
    "nor of what is not promised": (HALF_OF_IT, 125, None),
}


@pytest.mark.parametrize(("series", "at", "left"), LEFT.values(), ids=LEFT.keys())
def test_what_is_left_is_a_share_of_what_may_go_wrong(
    series: tuple[Series, ...], at: float, left: float | None, tmp_path: Path
) -> None:
    """Of the jobs that were done so far, 30 days at most."""
    expected = [] if left is None else [(POOL | {"slo": "availability"}, left)]
    asked = "round(pool:slo_budget_left:ratio30d, 0.5)"
    verdict = recorded(RULES, series, asked, at=minutes(at), expected=expected, folder=tmp_path)
    assert verdict.as_expected, verdict.text
