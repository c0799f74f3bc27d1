"""The hands of `make chaos`."""

import pytest

from e2e.chaos.hands import addresses, ruleset
from e2e.chaos.parts import PARTS
from workerpool_operator.cli.chaos.table import SCENARIOS
from workerpool_operator.cli.cluster import TroubleError


def test_the_harness_plays_every_scenario_of_the_table() -> None:
    """One table; in the same order."""
    assert list(PARTS) == list(SCENARIOS)


def test_what_is_cut_is_named_by_its_addresses() -> None:
    pods = [{"status": {"podIP": "10.89.0.2"}}, {"status": {"podIP": "10.88.0.7"}}]
    assert addresses(pods) == "{ 10.88.0.7, 10.89.0.2 }"


def test_nobody_is_cut_off_by_an_empty_set() -> None:
    """As a rule without a set it would hit everybody."""
    with pytest.raises(TroubleError, match="no pod to cut off"):
        addresses([])


def test_a_cut_is_the_same_however_often_it_is_made() -> None:
    """What it drops passes this machine, comes to it or goes out of it."""
    rules = ruleset(["ip saddr { 10.88.0.7 } drop"])
    assert rules.startswith("table ip wpool-chaos {}\ndelete table ip wpool-chaos\n")
    assert rules.count("ip saddr { 10.88.0.7 } drop") == 3
