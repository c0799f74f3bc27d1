"""What people read of alerts is what the rules say: severity, runbook, and that none is left out."""

import re
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from scripts.alerts_page import ROOT, installation_rules, page, pool_rules
from workerpool_operator.api import AlertThresholds

ALERTS = [rule for rule in [*pool_rules(), *installation_rules()] if "alert" in rule]
GUIDE = (ROOT / "docs" / "how-to" / "alerts.md").read_text()
INDEX = (ROOT / "docs" / "README.md").read_text()


def name(rule: dict[str, Any]) -> str:
    return str(rule["alert"])


@pytest.mark.parametrize("rule", ALERTS, ids=name)
def test_an_alert_is_told_with_its_severity_and_its_runbook(rule: dict[str, Any]) -> None:
    """Where people read which alerts there are, and where those on call look for what to do."""
    alert, severity = rule["alert"], rule["labels"]["severity"]
    assert re.search(rf"^\| `{alert}` \| {severity}\b.*\(\.\./runbooks/{alert}\.md\)", GUIDE, flags=re.MULTILINE)
    assert f"[{alert}](runbooks/{alert}.md)" in INDEX
    assert (ROOT / "docs" / "runbooks" / f"{alert}.md").is_file()


def test_the_reference_has_each_alert_once_with_its_expression() -> None:
    """And each series that is recorded."""
    text = page()
    assert re.findall(r"^### (\w+)$", text, flags=re.MULTILINE) == [rule["alert"] for rule in ALERTS]
    assert all(rule["expr"].strip() in text for rule in ALERTS)
    recorded = {rule["record"] for rule in installation_rules() if "record" in rule}
    assert all(f"| `{series}` |" in text for series in recorded)


DEFAULT = re.compile(r'"?([0-9.]+)"? when unset')
BY_TARGETS = {"queueDepth", "jobWaitSeconds"}
"""Thresholds without a number in their alerts."""


@pytest.mark.parametrize("field", AlertThresholds.model_fields.values(), ids=lambda field: str(field.alias))
def test_a_threshold_names_the_alerts_that_go_by_it_and_their_default(field: FieldInfo) -> None:
    """And they name it."""
    kind, described = str(field.alias), str(field.description)
    alerts = {name(rule): rule for rule in installation_rules() if "alert" in rule}
    reading = {alert for alert, rule in alerts.items() if f'kind="{kind}"' in rule["expr"]} - {"RulesNotLoaded"}
    assert reading
    assert all(alert in described for alert in reading)
    for alert in (alerts[one] for one in reading):
        assert f"spec.alerts.thresholds.{kind}" in alert["annotations"]["description"]
        if kind not in BY_TARGETS:
            (default,) = DEFAULT.findall(described)
            assert re.search(
                rf"> {re.escape(default)}\s+unless on \(namespace, pool\) \S+{{kind=\"{kind}\"}}", alert["expr"]
            )
            assert f"({default} unless it is set)" in alert["annotations"]["description"]
        assert re.search(rf"^\| `{kind}` \| .*`{alert['alert']}`", GUIDE, flags=re.MULTILINE)


def test_what_an_alert_says_of_itself_names_nobody_in_particular() -> None:
    """Prometheus' own placeholders mean nothing in a table."""
    table = page().partition("\n## ")[0]
    assert "{{" not in table
    assert all(f"[{rule['alert']}](#{rule['alert'].lower()})" in table for rule in ALERTS)
