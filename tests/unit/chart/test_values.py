"""The chart's values: documented, described by the schema, and refused when misspelt."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "workerpool-operator"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def properties(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of what the schema describes, down to what is a map of the user's own."""
    found = set()
    for name, child in schema.get("properties", {}).items():
        found |= properties(child, f"{prefix}{name}.") if "properties" in child else {f"{prefix}{name}"}
    return found


def leaves(values: dict[str, Any], known: set[str], prefix: str = "") -> set[str]:
    found = set()
    for name, child in values.items():
        path = f"{prefix}{name}"
        found |= leaves(child, known, f"{path}.") if isinstance(child, dict) and path not in known else {path}
    return found


def test_the_defaults_satisfy_the_schema() -> None:
    jsonschema.validate(VALUES, SCHEMA)


def test_schema_and_values_name_the_same_things() -> None:
    known = properties(SCHEMA)
    assert leaves(VALUES, known) == known - {"global"}  # `global` is Helm's own, given to every subchart


def test_every_value_is_in_the_table_of_the_readme() -> None:
    readme = (CHART / "README.md").read_text()
    assert {name for name in properties(SCHEMA) - {"global"} if f"| `{name}` |" not in readme} == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"replica": 3},
        {"replicas": 0},
        {"log": {"level": "trace"}},
        {"image": {"repository": "x", "digest": "sha256:short"}},
        {"collector": {"replicas": 3}},
        {"collector": {"imagePullSecrets": ["registry"]}},
        {"collector": {"imagePullSecrets": [{"name": "a,b"}]}},
        {"tls": {"secretName": "x"}},
        {"externalMetrics": {"enabled": "yes"}},
        {"externalMetrics": {"enabled": True, "caBundle": "bm90IGluIFBFTQ=="}},
        {"monitoring": {"enabled": "yes"}},
        {"prometheusRule": {"labels": {"release": "a,b=c"}}},
        {"prometheusRule": {"labels": {"a=b": "c"}}},
        {"prometheusRule": {"runbooks": "wiki"}},
        {"watchNamespaces": "media"},
        {"watchNamespaces": ["Media"]},
        {"watchNamespaces": ["media", "media"]},
        {"networkPolicy": {"enabled": True, "apiServerPorts": ["443"]}},
        {"networkPolicy": {"enabled": True, "from": []}},
        {"tls": {"certManager": {"enabled": True, "issuerRef": {"kind": "ClusterIssuer"}}}},
        {"tls": {"certManager": {"enabled": True, "duration": "90d"}}},
        {"podDisruptionBudget": {"enabled": 1}},
        {"topologySpreadConstraints": [{"topologyKey": "zone"}]},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, **wrong}, SCHEMA)
