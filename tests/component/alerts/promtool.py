"""The rule that the operator makes for a pool, run by promtool on series that a case describes.

Time is in seconds from the beginning; a series has one value every `STEP`, as the PodMonitor scrapes. A value of None
is a scrape that failed or found the series gone, which Prometheus marks as the series' end.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

STEP: Final = 10
EVALUATION: Final = 30

Labels = Mapping[str, str]
Values = Callable[[int], float | None]
Firing = Mapping[int, Sequence[Labels]]
"""Moment -> the labels of what fires then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series: its value at each moment."""

    metric: str
    labels: Labels
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is scraped for `seconds`, and which alerts fire when.

    `firing` maps a moment to the labels that tell the alerts of this moment apart; at a moment with none, all is quiet.
    """

    series: tuple[Series, ...]
    seconds: int
    alert: str
    firing: Firing


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What promtool says."""

    as_expected: bool
    text: str


def judge(rules: Mapping[str, Any], case: Case, *, folder: Path) -> Verdict:
    """Whether exactly the case's alerts fire at its moments."""
    return _test(rules, _expressions(case), folder=folder)


def told(rules: Mapping[str, Any], case: Case, alerts: Sequence[Mapping[str, Labels]], *, folder: Path) -> Verdict:
    """Whether at the end of the case exactly these alerts fire, with all their labels and annotations."""
    expected = [{"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]} for alert in alerts]
    moment = {"eval_time": f"{case.seconds}s", "alertname": case.alert, "exp_alerts": expected}
    return _test(rules, {**_series(case), "alert_rule_test": [moment]}, folder=folder)


def recorded(
    rules: Mapping[str, Any],
    series: tuple[Series, ...],
    expression: str,
    *,
    at: int,
    expected: Sequence[tuple[Labels, float]],
    folder: Path,
) -> Verdict:
    """Whether at the moment `at` the expression has exactly these samples, (labels, value)."""
    samples = [{"labels": _selector("", labels), "value": value} for labels, value in expected]
    asked = {"expr": expression, "eval_time": f"{at}s", "exp_samples": samples}
    case = Case(series=series, seconds=at, alert="", firing={})
    return _test(rules, {**_series(case), "promql_expr_test": [asked]}, folder=folder)


def check(rules: Mapping[str, Any], *, folder: Path) -> Verdict:
    """Whether it is a rule file that Prometheus loads."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    return _run("check", "rules", "--lint-fatal", str(folder / "rules.yaml"))


def _test(rules: Mapping[str, Any], test: Mapping[str, Any], *, folder: Path) -> Verdict:
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{EVALUATION}s", "tests": [test]}
    (folder / "test.yaml").write_text(yaml.safe_dump(document))
    verdict = _run("test", "rules", str(folder / "test.yaml"))
    # Anything else that is wrong is an error of the test, not of the rule.
    assert verdict.as_expected or "got:" in verdict.text, verdict.text
    return verdict


def _run(*arguments: str) -> Verdict:
    done = subprocess.run([program(), *arguments], check=False, capture_output=True, text=True)
    return Verdict(as_expected=done.returncode == 0, text=done.stdout + done.stderr)


def program() -> str:
    """Promtool; without it the test is skipped, but under CI, where a skip would go unseen."""
    found = shutil.which("promtool")
    if found is None:
        message = "promtool is needed: install the package prometheus (scripts/setup.sh promtool)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def _series(case: Case) -> dict[str, Any]:
    series = [_input(series, seconds=case.seconds) for series in case.series]
    return {"interval": f"{STEP}s", "input_series": series}


def _expressions(case: Case) -> dict[str, Any]:
    firing = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
    return {
        **_series(case),
        "promql_expr_test": [
            {
                "expr": f"count by (namespace, pool, pod, severity, slo) ({firing})",
                "eval_time": f"{moment}s",
                "exp_samples": [{"labels": _selector("", labels), "value": 1} for labels in alerts],
            }
            for moment, alerts in case.firing.items()
        ],
    }


def _input(series: Series, *, seconds: int) -> dict[str, str]:
    values = (series.values(moment) for moment in range(0, seconds + 1, STEP))
    return {"series": _selector(series.metric, series.labels), "values": " ".join(_written(values))}


def _written(values: Iterable[float | None]) -> Iterable[str]:
    """A series that has ended is marked so once; before its beginning there is nothing to end."""
    there = False
    for value in values:
        yield f"{value:.12g}" if value is not None else ("stale" if there else "_")
        there = value is not None


def _selector(metric: str, labels: Labels) -> str:
    return metric + "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
