"""The linter finds each fault, and none in what is shipped."""

from typing import Any

import pytest

from workerpool_operator.api.crd import DEFINITIONS, Definition, InvalidSchemaError, root_schema
from workerpool_operator.api.lint import lint

WORD = {"type": "string", "maxLength": 9}


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "string", "maxLength": 9, "title": "T"}, "title is not structural"),
        ({"$ref": "#/x"}, "$ref is not structural"),
        ({"type": "integer", "exclusiveMinimum": 1}, "exclusiveMinimum is not structural"),
        ({"type": "array", "prefixItems": [], "maxItems": 1}, "prefixItems is not structural"),
        ({"const": "a"}, "const is not structural"),
        ({"type": "number"}, "type is 'number'"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "type is None"),
        ({"type": "string", "maxLength": 9, "anyOf": []}, "anyOf holds only for int-or-string"),
        ({"x-kubernetes-int-or-string": True, "type": "string", "maxLength": 9}, "int-or-string has no type"),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, "no maxLength"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, "additionalProperties must be a schema"),
        ({"type": "object"}, "an object without fields loses all of them"),
        (
            {"type": "object", "properties": {}, "additionalProperties": WORD, "maxProperties": 1},
            "has both properties and additionalProperties",
        ),
        ({"type": "object", "properties": {}, "required": ["b", "a"]}, "requires a, b, which it does not have"),
        ({"type": "string"}, "no maxLength"),
        ({"type": "array", "items": WORD, "x-kubernetes-list-type": "atomic"}, "no maxItems"),
        ({"type": "object", "additionalProperties": WORD}, "no maxProperties"),
        ({"type": "array", "items": WORD, "maxItems": 2}, "must say atomic or map"),
        ({"type": "array", "maxItems": 2, "x-kubernetes-list-type": "atomic"}, "no items"),
        (
            {
                "type": "array",
                "maxItems": 2,
                "items": {"type": "object", "properties": {"name": WORD | {"description": "d"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "list key name must be required or have a default",
        ),
        (WORD | {"x-kubernetes-validations": [{"rule": "true"}]}, "rule without a message: true"),
    ],
)
def test_a_fault_is_found(schema: dict[str, Any], fault: str) -> None:
    assert any(fault in line for line in lint(schema))


def test_a_field_without_a_description_is_found_wherever_it_lies() -> None:
    deep = {"type": "object", "properties": {"a": WORD}}
    listed = {"type": "array", "items": deep, "maxItems": 1, "x-kubernetes-list-type": "atomic", "description": "d"}
    mapped = {"type": "object", "additionalProperties": deep, "maxProperties": 1, "description": "d"}
    schema = {"type": "object", "properties": {"listed": listed, "mapped": mapped}}
    assert list(lint(schema)) == [".listed[].a: no description", ".mapped{}.a: no description"]


@pytest.mark.parametrize("of", DEFINITIONS, ids=lambda of: of.kind)
def test_the_shipped_schema_has_no_fault(of: Definition) -> None:
    schema = root_schema(of)
    assert not [fault for part in ("spec", "status") for fault in lint(schema["properties"][part], path=part)]


def test_models_that_a_crd_cannot_hold_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workerpool_operator.api.crd.lint", lambda schema, path: iter([f"{path}: bad"]))
    with pytest.raises(InvalidSchemaError, match=r"^\.spec: bad\n\.status: bad$"):
        root_schema()
