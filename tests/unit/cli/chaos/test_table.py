"""The table of scenarios: whole, and what the commands and the harness need of it."""

from pathlib import Path

import pytest

from workerpool_operator.cli.chaos.hands.choose import _HANDS
from workerpool_operator.cli.chaos.marks import MEANS
from workerpool_operator.cli.chaos.table import SCENARIOS, Scenario

RUNBOOKS = Path(__file__).parents[4] / "docs" / "runbooks"
PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "chaos.md"
EACH = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda one: one.name)


@EACH
def test_a_scenario_is_either_put_back_or_heals_by_itself(scenario: Scenario) -> None:
    """One that lasts has an end by default, and one that strikes once has nobody to end it."""
    assert (scenario.seconds > 0) != scenario.heals_itself
    assert scenario.recovers_within <= 120


@EACH
def test_a_scenario_has_a_runbook_a_line_on_the_page_and_a_rule_of_who_allows_it(scenario: Scenario) -> None:
    assert (RUNBOOKS / f"{scenario.runbook}.md").exists()
    assert f"`{scenario.name}`" in PAGE.read_text()
    assert MEANS[scenario.reach]


def test_wpool_has_hands_for_each() -> None:
    assert _HANDS.keys() == SCENARIOS.keys()
