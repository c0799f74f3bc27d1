"""What a user copies has to work: the examples, and the pools shown in the documentation."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from workerpool_operator import api

ROOT = Path(__file__).parents[3]
CRD = yaml.safe_load((ROOT / "crds" / "workerpools.workerpool.dev.yaml").read_text())
BUDGET = yaml.safe_load((ROOT / "crds" / "workerpoolbudgets.workerpool.dev.yaml").read_text())
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def shown(kind: str) -> Iterator[Any]:
    """Every resource of the kind in the examples, and in the YAML blocks of README and docs."""
    for path in [*(ROOT / "examples").rglob("*.yaml"), ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text()
        blocks = [text] if path.suffix == ".yaml" else YAML_BLOCK.findall(text)
        documents = (one for block in blocks if f"kind: {kind}" in block for one in yaml.safe_load_all(block))
        for document in documents:
            if document["kind"] == kind:
                yield pytest.param(document, id=f"{path.relative_to(ROOT)}:{document['metadata']['name']}")


def closed(schema: Any) -> Any:
    """The schema, refusing unknown fields, as `kubectl apply` does with its strict validation."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
    if schema.pop("x-kubernetes-int-or-string", False):
        schema["type"] = ["integer", "string"]
    return schema


@pytest.mark.parametrize("pool", list(shown("WorkerPool")))
def test_a_pool_that_is_shown_is_a_valid_one(pool: dict[str, Any]) -> None:
    spec = closed(SCHEMA["properties"]["spec"])
    jsonschema.validate(pool["spec"], spec, cls=jsonschema.Draft4Validator)
    assert set(pool) == {"apiVersion", "kind", "metadata", "spec"}
    assert pool["apiVersion"] == f"{CRD['spec']['group']}/{CRD['spec']['versions'][0]['name']}"
    metadata = {"namespace": "default", "uid": "1", "resourceVersion": "1", "generation": 1, **pool["metadata"]}
    assert api.parse({**pool, "metadata": metadata}).name == pool["metadata"]["name"]


@pytest.mark.parametrize("budget", list(shown("WorkerPoolBudget")))
def test_a_budget_that_is_shown_is_a_valid_one(budget: dict[str, Any]) -> None:
    spec = closed(BUDGET["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    jsonschema.validate(budget["spec"], spec, cls=jsonschema.Draft4Validator)
    assert api.parse_budget(budget).spec.max_replicas > 0


def test_a_misspelt_field_would_be_noticed() -> None:
    """The check above is worth something: it does refuse."""
    spec = {"worker": {"image": "x:1", "imagePulPolicy": "Always"}, "queues": []}
    with pytest.raises(jsonschema.ValidationError, match="imagePulPolicy"):
        jsonschema.validate(spec, closed(SCHEMA["properties"]["spec"]), cls=jsonschema.Draft4Validator)
