"""What the page on alerts has people write for Alertmanager, in a real one: who is held back, what comes together."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from e2e.support.wait import wait_for
from scripts.alerts_page import ROOT, installation_rules, pool_rules
from tests.support.alertmanager import NOBODY, alertmanager_in

pytestmark = [pytest.mark.component, pytest.mark.promtool]

PAGE: Final = (ROOT / "docs" / "how-to" / "alerts.md").read_text()
[SHOWN] = re.findall(r"^```yaml\n# alertmanager\.yml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
SETTINGS: Final[dict[str, Any]] = yaml.safe_load(SHOWN)
THUMBS: Final = {"namespace": "media", "pool": "thumbs"}
MAILS: Final = {"namespace": "shop", "pool": "mails"}


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """One with these settings, which tells nobody."""
    nobody = yaml.safe_load(NOBODY)
    merged = nobody | SETTINGS | {"route": nobody["route"] | SETTINGS["route"]}
    with alertmanager_in(tmp_path, settings=yaml.safe_dump(merged)) as url:
        yield url


def fire(url: str, *alerts: dict[str, str]) -> None:
    """As Prometheus tells of them."""
    body = json.dumps([{"labels": one} for one in alerts]).encode()
    request = urllib.request.Request(
        f"{url}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def asked(url: str, what: str) -> Any:
    """Its answer."""
    with urllib.request.urlopen(f"{url}/api/v2/{what}", timeout=10) as answer:
        return json.load(answer)


def held_back(url: str) -> set[tuple[str, str]]:
    """Alerts that nobody is told of, with their pools."""
    found = asked(url, "alerts")
    return {
        (one["labels"]["alertname"], one["labels"].get("pool", "")) for one in found if one["status"]["inhibitedBy"]
    }


def test_every_alert_that_is_named_there_is_one() -> None:
    """A name that is gone would hold back nothing, without a word."""
    known = {rule["alert"] for rule in [*pool_rules(), *installation_rules()] if "alert" in rule}
    matchers = [
        matcher
        for rule in SETTINGS["inhibit_rules"]
        for side in ("source_matchers", "target_matchers")
        for matcher in rule[side]
    ]
    named = {name for matcher in matchers for name in re.findall(r"[A-Z]\w+", matcher)}
    assert named
    assert named <= known


def test_the_cause_is_told_and_what_follows_from_it_is_not(alertmanager: str) -> None:
    """Of the same pool, where the cause is a pool's; a cause of all is one of every pool."""
    stands = {"alertname": "QueueNotDraining", **THUMBS}
    old = {"alertname": "OldestJobTooOld", **THUMBS}
    elsewhere = {"alertname": "OldestJobTooOld", **MAILS}
    fire(alertmanager, stands, old, elsewhere)
    wait_for(lambda: held_back(alertmanager), seconds=30, what="an alert that is held back")
    assert held_back(alertmanager) == {("OldestJobTooOld", "thumbs")}
    fire(alertmanager, {"alertname": "OperatorDown"}, {"alertname": "ScalerBlind", **MAILS})
    wait_for(lambda: len(held_back(alertmanager)) > 1, seconds=30, what="the alert that follows from the operator")
    assert held_back(alertmanager) == {("OldestJobTooOld", "thumbs"), ("ScalerBlind", "mails")}


def test_a_collector_s_silence_is_its_own_namespace_s(alertmanager: str) -> None:
    """Whoever may end the collector of one namespace keeps nobody from being told of another one, or of the cluster."""
    fire(
        alertmanager,
        {"alertname": "CollectorDown", "namespace": "media"},
        *({"alertname": name, **pool} for name in ("ScalerBlind", "RolloutStuck") for pool in (THUMBS, MAILS)),
        {"alertname": "MetricsApiDown"},
    )
    wait_for(lambda: len(held_back(alertmanager)) > 1, seconds=30, what="the alerts that follow from the collector")
    assert held_back(alertmanager) == {("ScalerBlind", "thumbs"), ("RolloutStuck", "thumbs")}


def test_a_pool_s_alerts_come_together(alertmanager: str) -> None:
    """One message for each pool, however many alerts it has."""
    names = ("WorkersStuck", "RetryBurst")
    fire(alertmanager, *({"alertname": name, **pool} for name in names for pool in (THUMBS, MAILS)))

    def groups() -> dict[str, set[str]]:
        return {
            one["labels"].get("pool", ""): {alert["labels"]["alertname"] for alert in one["alerts"]}
            for one in asked(alertmanager, "alerts/groups")
        }

    wait_for(lambda: groups() == {"thumbs": set(names), "mails": set(names)}, seconds=30, what="a group for each pool")
