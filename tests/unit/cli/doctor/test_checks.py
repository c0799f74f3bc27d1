"""What `wpool doctor` makes of what it sees."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cli.doctor.seen import WELL, operator, pool, slot, told
from workerpool_operator.api.crd import definition
from workerpool_operator.cli.doctor.checks import findings
from workerpool_operator.cli.doctor.rights import Right
from workerpool_operator.cli.doctor.seen import Hidden, Level


def with_property(name: str) -> dict[str, Any]:
    changed = copy.deepcopy(definition())
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][name] = {}
    return changed


def test_a_cluster_that_is_well_has_nothing_to_mend() -> None:
    found = findings(WELL)
    assert {finding.level for finding in found} == {Level.GOOD}
    assert len(found) == 9


def test_what_is_not_good_has_a_remedy() -> None:
    bad = replace(
        WELL,
        kubernetes=(1, 24),
        definition=None,
        operators=[],
        slot=slot("keda", available="False"),
        rules_served=False,
        monitors_served=False,
        namespaces={"media": {"metadata": {}}},
        pools=[pool(Ready="False")],
        refused=[Right("create", "pods/exec")],
    )
    found = findings(bad)
    assert [finding.subject for finding in found if finding.level is Level.GOOD] == []
    assert [finding.subject for finding in found if not finding.remedy] == []


@pytest.mark.parametrize(
    ("change", "level", "says"),
    [
        ({"definition": with_property("later")}, Level.NOTE, "newer than this command, which does not know spec.later"),
        ({"wanted": with_property("later")}, Level.BAD, "older than this command: it lacks spec.later"),
        ({"definition": None}, Level.BAD, "not known"),
        ({"definition": Hidden("you may not read it")}, Level.NOTE, "you may not read it"),
    ],
)
def test_the_definition(change: dict[str, Any], level: Level, says: str) -> None:
    found = told(replace(WELL, **change), "resource definition")
    assert found.level is level
    assert says in found.text


@pytest.mark.parametrize(
    ("operators", "level", "says"),
    [
        ([], Level.BAD, "not installed"),
        ([operator(ready=0)], Level.BAD, "no replica is ready"),
        ([operator(release="1.0")], Level.NOTE, "is release 1.0, this command is 1.2.3"),
        (Hidden("you may not read it"), Level.NOTE, "you may not read it"),
    ],
)
def test_the_operator(operators: Any, level: Level, says: str) -> None:
    found = told(replace(WELL, operators=operators), "operator")
    assert found.level is level
    assert says in found.text


def test_two_operators_are_one_too_many() -> None:
    found = findings(replace(WELL, operators=[operator(), operator(namespace="other")]))
    assert "more than once: system/workerpool-operator, other/workerpool-operator" in found[2].text


@pytest.mark.parametrize(
    ("found", "level", "says"),
    [
        (None, Level.GOOD, "free"),
        (slot(available="False"), Level.BAD, "does not answer: no endpoints"),
        (slot("keda"), Level.NOTE, "taken by system/keda"),
        (Hidden("you may not read it"), Level.NOTE, "you may not read it"),
    ],
)
def test_the_place_of_external_metrics(found: Any, level: Level, says: str) -> None:
    finding = told(replace(WELL, slot=found), "external metrics")
    assert finding.level is level
    assert says in finding.text
