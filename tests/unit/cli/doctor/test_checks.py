"""What `wpool doctor` makes of what it sees."""

import copy
from dataclasses import replace
from typing import Any, Final

import pytest

from workerpool_operator.api.crd import definition
from workerpool_operator.cli.doctor.checks import Finding, Hidden, Level, Seen, fields, findings

RELEASE: Final = "1.2.3"


def operator(*, ready: int = 2, release: str = RELEASE, namespace: str = "system") -> dict[str, Any]:
    labels = {"app.kubernetes.io/version": release}
    metadata = {"name": "workerpool-operator", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "status": {"readyReplicas": ready}}


def slot(service: str = "workerpool-operator-external-metrics", *, available: str = "True") -> dict[str, Any]:
    told = [{"type": "Available", "status": available, "message": "no endpoints"}]
    return {"spec": {"service": {"namespace": "system", "name": service}}, "status": {"conditions": told}}


def pool(name: str = "thumbs", **told: str) -> dict[str, Any]:
    conditions = [{"type": kind, "status": status, "reason": "R", "message": "m"} for kind, status in told.items()]
    return {"metadata": {"name": name, "namespace": "media"}, "status": {"conditions": conditions}}


WELL: Final = Seen(
    kubernetes=(1, 36),
    definition=definition(),
    wanted=definition(),
    release=RELEASE,
    operators=[operator()],
    slot=slot(),
    rules_served=True,
    pools=[pool(Ready="True")],
    namespaces={"media": {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}},
)


def told(seen: Seen, subject: str) -> Finding:
    [found] = [finding for finding in findings(seen) if finding.subject == subject]
    return found


def with_property(name: str) -> dict[str, Any]:
    changed = copy.deepcopy(definition())
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][name] = {}
    return changed


def test_a_cluster_that_is_well_has_nothing_to_mend() -> None:
    found = findings(WELL)
    assert {finding.level for finding in found} == {Level.GOOD}
    assert len(found) == 7


def test_what_is_not_good_has_a_remedy() -> None:
    bad = replace(
        WELL,
        kubernetes=(1, 24),
        definition=None,
        operators=[],
        slot=slot("keda", available="False"),
        rules_served=False,
        namespaces={"media": {"metadata": {}}},
        pools=[pool(Ready="False")],
        refused=["create pods/exec"],
    )
    found = findings(bad)
    assert [finding.subject for finding in found if finding.level is Level.GOOD] == []
    assert [finding.subject for finding in found if not finding.remedy] == []


def test_fields_are_found_in_lists_too() -> None:
    assert {"spec", "spec.scaling.mode", "spec.queues.name", "status.conditions.type"} <= fields(definition())


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


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"Ready": "True", "QueueReachable": "False"}, ["QueueReachable=False (R): m"]),
        ({"Ready": "True", "Stalled": "True"}, ["Stalled=True (R): m"]),
        ({"Ready": "True", "Stalled": "False"}, []),
        ({"Ready": "False", "Progressing": "True"}, []),
        ({"Ready": "False", "Progressing": "False"}, ["Ready=False (R): m"]),
        ({}, ["the operator has not looked at it yet"]),
    ],
)
def test_a_pool_speaks_by_its_conditions(conditions: dict[str, str], says: list[str]) -> None:
    found = findings(replace(WELL, pools=[pool(**conditions)]))
    assert [finding.text for finding in found if finding.subject == "pool media/thumbs"] == says


def test_of_many_pools_in_trouble_the_rest_is_counted() -> None:
    found = findings(replace(WELL, pools=[pool(f"p{number}", Stalled="True") for number in range(25)]))
    assert told(replace(WELL, pools=[pool(f"p{n}", Stalled="True") for n in range(25)]), "pools").text.startswith(
        "5 more"
    )
    assert len([finding for finding in found if finding.subject.startswith("pool media/")]) == 20


def test_a_pool_where_the_operator_does_not_look_is_told_of() -> None:
    """It has no status, and never will have; what an operator looks after stands in its Deployment."""
    env = [{"name": "POD_NAME"}, {"name": "WATCH_NAMESPACES", "value": "mail, office"}]
    limited = operator() | {"spec": {"template": {"spec": {"containers": [{"env": env}]}}}}
    found = told(replace(WELL, operators=[limited]), "pool media/thumbs")
    assert (found.level, found.text) == (Level.BAD, "the operator looks after other namespaces only")
    assert "watchNamespaces" in found.remedy
    env[1]["value"] = "mail,media"
    assert told(replace(WELL, operators=[limited]), "pools").level is Level.GOOD
    env[1]["value"] = ""
    assert told(replace(WELL, operators=[limited]), "pools").level is Level.GOOD
