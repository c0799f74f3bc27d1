"""The pool's rule as the operator makes it, judged by promtool: every case fires, or is silent, as it should.

Each case can fail: turned around, it does. And each part of the expressions is there for a case: without the part, that
case fails.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.alerts.cases import DEPTH, DEPTHS, HEARTBEAT, HEARTBEATS, QUIET, minutes, steps
from tests.component.alerts.cases import POOL as POOL_LABELS
from tests.component.alerts.promtool import Case, Firing, Series, check, judge, told
from tests.support.pools import pool
from workerpool_operator.api import WorkerPool
from workerpool_operator.domain import desired

pytestmark = [pytest.mark.component, pytest.mark.promtool]

CASES = {f"heartbeat: {name}": case for name, case in HEARTBEATS.items()} | {
    f"depth: {name}": case for name, case in DEPTHS.items()
}
CANARY = {**POOL_LABELS, "severity": "warning"}
POOL = pool(scaling={"targets": {"queueDepth": 100}})
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def rules(of: WorkerPool = POOL) -> dict[str, Any]:
    """As the prometheus-operator writes it into a rule file."""
    found: dict[str, Any] = desired.prometheus_rule(of, settings=desired.RuleSettings())["spec"]
    return found


def without(old: str, new: str) -> dict[str, Any]:
    """The rule with one part of its expressions replaced."""
    text = yaml.safe_dump(rules(), width=10_000)
    assert old in text
    changed: dict[str, Any] = yaml.safe_load(text.replace(old, new))
    return changed


@each_case
def test_the_alert_fires_when_it_should_and_only_then(case: Case, tmp_path: Path) -> None:
    verdict = judge(rules(), case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


@each_case
def test_the_case_would_fail_if_it_were_otherwise(case: Case, tmp_path: Path) -> None:
    other = HEARTBEAT if case in HEARTBEATS.values() else DEPTH
    turned: Firing = {moment: QUIET if alerts else [other] for moment, alerts in case.firing.items()}
    assert not judge(rules(), replace(case, firing=turned), folder=tmp_path).as_expected


TRIES = pool(rollout={"strategy": "Canary"})


def asked_for(*values: tuple[int, float | None], **labels: str) -> Series:
    return Series(
        metric="workerpool_canary_rejected",
        labels=POOL_LABELS | {"job": "workerpool-operator", "pod": "o0"} | labels,
        values=steps(*values),
    )


@pytest.mark.parametrize(
    ("series", "firing"),
    [
        ([asked_for((0, 0))], {minutes(2): QUIET, minutes(9): QUIET}),
        ([asked_for((0, 0), (minutes(3), 1))], {minutes(2): QUIET, minutes(4): [CANARY], minutes(9): [CANARY]}),
        (
            [asked_for((0, 0), (minutes(3), 1), (minutes(5), None), (minutes(6), 1), (minutes(7), 0))],
            {minutes(4): [CANARY], minutes(5.5): [CANARY], minutes(6.5): [CANARY], minutes(10): QUIET},
        ),
        ([asked_for((0, 1)), asked_for((0, 1), pod="o1")], {minutes(4): [CANARY]}),
        ([asked_for((0, 1), pool="other")], {minutes(4): QUIET}),
    ],
    ids=["none is rejected", "one is", "the operator restarts, and another is asked for", "two operators", "another's"],
)
def test_one_alert_tells_of_a_rejected_version_for_as_long_as_it_is_asked_for(
    series: list[Series], firing: Firing, tmp_path: Path
) -> None:
    case = Case(series=tuple(series), seconds=minutes(10), alert="CanaryRejected", firing=firing)
    verdict = judge(rules(TRIES), case, folder=tmp_path)
    assert verdict.as_expected, verdict.text
    turned: Firing = {moment: QUIET if alerts else [CANARY] for moment, alerts in firing.items()}
    assert not judge(rules(TRIES), replace(case, firing=turned), folder=tmp_path).as_expected


MUTANTS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "no look at how old a heartbeat is": (
        lambda: without("timestamp(worker_heartbeat_unixtime{", "(worker_heartbeat_unixtime{"),
        "heartbeat: one hangs and still answers",
    ),
    "no look at who is expected": (
        lambda: without(
            "max by (namespace, pool) (pool_workers_expected", "0 * max by (namespace, pool) (pool_workers_expected"
        ),
        "heartbeat: one is frozen",
    ),
    "nobody beating is not counted as none": (lambda: without(" or 0 * ", " or "), "heartbeat: all are lost"),
    "workers counted by series": (
        lambda: without("count by (namespace, pool) (max by (namespace, pool, pod) (", "count by (namespace, pool) (("),
        "heartbeat: one is frozen, and the others are scraped twice",
    ),
    "two alerts for one worker": (
        lambda: without("or on (namespace, pool)", "or"),
        "heartbeat: one hangs and still answers",
    ),
    "compared with its own last minutes": (lambda: without("[1h] offset 5m", "[5m]"), "depth: a step"),
    "compared with its own last minutes, growing": (
        lambda: without("[1h] offset 5m", "[5m]"),
        "depth: linear growth",
    ),
    "no comparison": (lambda: without("2 * avg_over_time", "0 * avg_over_time"), "depth: steady, high but normal"),
    "no target": (lambda: without("> 100", ">= 0"), "depth: far more than usual, and still what the pool may have"),
    "collectors added up": (
        lambda: without("(max by (namespace, pool, queue) ", "("),
        "depth: one queue that two collectors and two operators tell of",
    ),
    "queues one by one": (lambda: without("sum by", "max by"), "depth: queues that grow together"),
    "no patience": (lambda: without("for: 5m", "for: 0s"), "depth: a short spike"),
    "no patience with workers": (lambda: without("for: 1m", "for: 0s"), "heartbeat: a pod is replaced within a minute"),
    "all pools": (lambda: without(',pool="thumbs"', ""), "heartbeat: those of other pools"),
    "all namespaces": (lambda: without('namespace="media",', ""), "depth: those of other pools"),
}


@pytest.mark.parametrize(("mutant", "case"), MUTANTS.values(), ids=MUTANTS.keys())
def test_each_part_of_the_rule_is_there_for_a_case(
    mutant: Callable[[], dict[str, Any]], case: str, tmp_path: Path
) -> None:
    assert not judge(mutant(), CASES[case], folder=tmp_path).as_expected


@pytest.mark.parametrize("alerts", [{}, {"heartbeatMissingSeconds": 300, "queueDepthFactor": 1}], ids=str)
def test_prometheus_loads_the_rule(alerts: dict[str, Any], tmp_path: Path) -> None:
    verdict = check(rules(pool(alerts=alerts)), folder=tmp_path)
    assert verdict.as_expected, verdict.text


NASTY = ['a"} or vector(1) > 0 #', "a\\", "a\nb", "{{ $value }}", "ü\U0001f600\x00\t'`"]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_whatever_a_name_holds_it_asks_for_nothing_else(text: str, tmp_path: Path) -> None:
    """The API server lets none of these in as a name; the rule does not lean on it."""
    odd = POOL.changed(metadata=POOL.metadata.changed(name=text, namespace=text))
    assert check(rules(odd), folder=tmp_path).as_expected
    for name in ("heartbeat: all are lost", "depth: a step"):
        case = CASES[name]
        silent = replace(case, firing=dict.fromkeys(case.firing, QUIET))
        assert judge(rules(odd), silent, folder=tmp_path).as_expected


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_label_arrives_as_it_was_written(text: str, tmp_path: Path) -> None:
    of = POOL.changed(spec=POOL.spec.changed(alerts=POOL.spec.alerts.changed(labels={"note": text})))
    case = CASES["depth: a step"]
    alert = {
        "labels": {**DEPTH, "note": text},
        "annotations": {
            "summary": "Pool media/thumbs: far more jobs wait than usual",
            "description": "1000 jobs wait: more than 2 times the average of the last hour "
            "(spec.alerts.queueDepthFactor), and more than the target of 100.",
            "runbook_url": "https://workerpool.dev/docs/runbooks/HighQueueDepth.md",
        },
    }
    verdict = told(rules(of), replace(case, seconds=minutes(90)), [alert], folder=tmp_path)
    assert verdict.as_expected, verdict.text


@pytest.mark.parametrize(
    ("name", "labels", "what"),
    [
        ("one hangs and still answers", {"pod": "w2"}, "Worker w2 gave its last sign of life 10m 0s ago"),
        ("one is frozen", {}, "Workers with a sign of life: 2, fewer than there are"),
    ],
)
def test_the_alert_says_which_worker_it_is_if_that_is_known(
    name: str, labels: dict[str, str], what: str, tmp_path: Path
) -> None:
    alert = {
        "labels": HEARTBEAT | labels,
        "annotations": {
            "summary": "Pool media/thumbs: a worker gives no sign of life",
            "description": f"{what}; the limit is 30 s (spec.alerts.heartbeatMissingSeconds). The jobs of a dead "
            "worker are run again when their lease ends.",
            "runbook_url": "https://workerpool.dev/docs/runbooks/WorkerHeartbeatMissing.md",
        },
    }
    verdict = told(rules(), HEARTBEATS[name], [alert], folder=tmp_path)
    assert verdict.as_expected, verdict.text
