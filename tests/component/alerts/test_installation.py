"""The alerts of the chart, judged by promtool: each fires in its story, and is silent in the other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.alerts.cases import minutes
from tests.component.alerts.installation import STORIES, Story
from tests.component.alerts.promtool import Case, check, judge

pytestmark = [pytest.mark.component, pytest.mark.promtool]

ROOT = Path(__file__).parents[3]
RULES: dict[str, Any] = yaml.safe_load((ROOT / "charts" / "workerpool-operator" / "alerts.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
each = pytest.mark.parametrize(("name", "story"), STORIES.items(), ids=STORIES.keys())


def test_every_alert_has_its_story() -> None:
    """And no story is of an alert that is gone."""
    assert {alert["alert"] for alert in ALERTS} == STORIES.keys()


def test_prometheus_loads_them(tmp_path: Path) -> None:
    """With no complaint of its linter."""
    assert check(RULES, folder=tmp_path).as_expected


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    """A severity by which it is routed, two sentences, a page."""
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"].keys() == {"summary", "description"}
    assert (ROOT / "docs" / "runbooks" / f"{alert['alert']}.md").is_file()


@each
def test_it_fires_in_its_story_and_not_before(name: str, story: Story, tmp_path: Path) -> None:
    """With exactly the labels that tell what it is about."""
    told = {**story.labels, "severity": story.severity}
    firing = {minutes(story.before): [], minutes(story.at): [told]}
    case = Case(series=story.fires, seconds=minutes(story.at), alert=name, firing=firing)
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


@each
def test_it_is_silent_in_the_other_story(name: str, story: Story, tmp_path: Path) -> None:
    """For as long as the other one takes to fire, looked at ten times."""
    end = minutes(story.at)
    firing: dict[int, list[Any]] = {end * part // 10 // 30 * 30: [] for part in range(1, 11)}
    verdict = judge(RULES, Case(series=story.silent, seconds=end, alert=name, firing=firing), folder=tmp_path)
    assert verdict.as_expected, verdict.text
