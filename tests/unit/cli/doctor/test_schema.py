"""Whether a resource definition is that of this release, field by field and rule by rule."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cli.doctor.seen import WELL, operator, told
from workerpool_operator.api.crd import definition
from workerpool_operator.cli.doctor.schema import facts, fields
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Level

Schema = dict[str, Any]


def judged(change: Callable[[Schema], Any], **seen: Any) -> Finding:
    """With another schema of `spec` in the cluster."""
    found = copy.deepcopy(definition())
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    change(schema["properties"]["spec"])
    return told(replace(WELL, definition=found, **seen), "resource definition")


def scaling(spec: Schema) -> Schema:
    found: Schema = spec["properties"]["scaling"]["properties"]
    return found


def test_fields_are_found_in_lists_too() -> None:
    assert {"spec", "spec.scaling.mode", "spec.queues.name", "status.conditions.type"} <= fields(definition())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spec: spec["properties"]["suspend"].update(type="string"), "lacks (spec.suspend: type"),
        (lambda spec: spec["required"].remove("queues"), "lacks (spec: queues is required)"),
        (lambda spec: spec["required"].append("slo"), "has (spec: slo is required)"),
        (lambda spec: scaling(spec)["mode"]["enum"].remove("keda"), 'lacks (spec.scaling.mode: may be "keda")'),
        (lambda spec: scaling(spec)["mode"]["enum"].append("later"), 'has (spec.scaling.mode: may be "later")'),
        (lambda spec: spec["x-kubernetes-validations"].clear(), "lacks (spec: rule "),
        (lambda spec: scaling(spec)["maxReplicas"].update(maximum=7), "has (spec.scaling.maxReplicas: maximum 7)"),
        (
            lambda spec: spec["properties"]["worker"]["properties"]["podLabels"]["additionalProperties"].update(
                maxLength=1
            ),
            "has (spec.worker.podLabels.*: maxLength 1",
        ),
    ],
)
def test_the_same_fields_may_be_asked_something_else(change: Callable[[Schema], Any], says: str) -> None:
    """Types, what is required, choices, bounds and CEL rules."""
    finding = judged(change)
    assert finding.level is Level.BAD
    assert says in finding.text
    assert "apply crds/" in finding.remedy


@pytest.mark.parametrize("operators", [[operator(release="9.9.9")], Hidden("you may not read it")])
def test_a_definition_of_another_release_is_that_of_the_operator(operators: Any) -> None:
    """Then it is this command that does not fit, which is said of the operator too."""
    assert judged(lambda spec: spec["required"].remove("queues"), operators=operators).level is Level.NOTE


def test_other_words_are_the_same_definition() -> None:
    """And so are other spellings of a number."""
    finding = judged(lambda spec: spec["properties"]["suspend"].update(description="other words"))
    assert (finding.level, finding.text) == (Level.GOOD, "that of this release")
    assert list(facts({"minimum": 1.0, "maximum": 0.5})) == ["the resource: minimum 1", "the resource: maximum 0.5"]
