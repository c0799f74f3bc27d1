"""The alerts of the chart, judged by promtool: each fires in its story, and is silent in the other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.component.alerts.cases import POOL, ended_by, minutes
from tests.component.alerts.installation import STORIES, Story
from tests.component.alerts.promtool import Case, Series, check, judge

pytestmark = [pytest.mark.component, pytest.mark.promtool, pytest.mark.timeout(600)]  # some stories take a day

ROOT = Path(__file__).parents[3]
RULES: dict[str, Any] = yaml.safe_load((ROOT / "charts" / "workerpool-operator" / "alerts.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]


def rules_of(alert: str) -> dict[str, Any]:
    """What it is made of: its group, and the records that all may use. A story of a day is long with all the others."""
    groups = [
        group
        for group in RULES["groups"]
        if group["name"] == "workerpool.records" or any(rule.get("alert") == alert for rule in group["rules"])
    ]
    return {"groups": groups}


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
    verdict = judge(rules_of(name), case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


@each
def test_it_is_silent_in_the_other_story(name: str, story: Story, tmp_path: Path) -> None:
    """For as long as the other one takes to fire, looked at ten times."""
    end = minutes(story.at)
    firing: dict[int, list[Any]] = {end * part // 10 // 30 * 30: [] for part in range(1, 11)}
    verdict = judge(rules_of(name), Case(series=story.silent, seconds=end, alert=name, firing=firing), folder=tmp_path)
    assert verdict.as_expected, verdict.text


@pytest.mark.parametrize(
    "series",
    [ended_by("OOMKilled", starts_anew=False), ended_by("OOMKilled", pod="somebody-else-s"), ended_by("OOMKilled")[1:]],
    ids=["it was so long ago", "a pod of no pool", "no worker was ever seen"],
)
def test_it_tells_only_of_pools_whose_containers_have_just_been_killed(
    series: tuple[Series, ...], tmp_path: Path
) -> None:
    """The reason of the last end stands for as long as the pod lives, and any pod may be out of memory."""
    firing: dict[int, list[Any]] = {minutes(at): [] for at in (4, 6, 8, 15)}
    case = Case(series=series, seconds=minutes(15), alert="WorkersOutOfMemory", firing=firing)
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


def test_a_container_that_is_killed_for_its_memory_is_named_once(tmp_path: Path) -> None:
    """However many kube-state-metrics tell of it, and for as long as one may look for it."""
    fires = {minutes(at): [{**POOL, "severity": "warning"}] for at in (6, 12, 19)}
    case = Case(
        series=ended_by("OOMKilled"),
        seconds=minutes(25),
        alert="WorkersOutOfMemory",
        firing={minutes(4): [], **fires, minutes(22): []},
    )
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text
