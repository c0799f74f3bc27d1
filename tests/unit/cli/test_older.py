"""When an operator is called older than the command."""

import copy
from typing import Any

import pytest

from workerpool_operator.api.crd import definition
from workerpool_operator.cli.older import told


def published(*without: str) -> dict[str, Any]:
    """The schema of this release, without some fields of `spec`."""
    schema: dict[str, Any] = copy.deepcopy(definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    for field in without:
        del schema["properties"]["spec"]["properties"][field]
    return schema


def operator(release: str | None) -> dict[str, Any]:
    labels = {} if release is None else {"app.kubernetes.io/version": release}
    return {"metadata": {"name": "workerpool-operator", "namespace": "system", "labels": labels}}


@pytest.mark.parametrize(
    ("schema", "operators"),
    [
        ({}, []),
        (published(), []),
        (published(), [operator("1.10.0"), operator("1.11.0"), operator("2.0"), operator(None), operator("")]),
        (published(), [operator("1.10.0-rc.1")]),
        ({**published(), "later": {}}, []),
    ],
)
def test_nothing_is_said_of_one_that_is_not(schema: dict[str, Any], operators: list[dict[str, Any]]) -> None:
    """Nor of one that cannot be seen."""
    assert told(schema, operators, release="1.10.0") == ""


@pytest.mark.parametrize("release", ["1.9.0", "1.9.12", "0.99.99", "1.9"])
def test_releases_are_counted_and_not_spelled(release: str) -> None:
    said = told(published(), [operator("1.10.0"), operator(release)], release="1.10.0")
    assert said.startswith(f"The operator in this cluster (system/workerpool-operator) is release {release}, older")


def test_a_definition_says_more_than_a_label() -> None:
    """It tells which fields there are not."""
    said = told(published("suspend", "slo"), [operator("0.1")], release="1.10.0")
    assert "it lacks spec.slo, spec.slo.availability" in said
    assert "Apply crds/ of this release" in said
