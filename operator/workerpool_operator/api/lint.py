"""Finds what the API server would refuse, drop, or leave unbounded in a generated schema.

The API server's own check comes late, names one fault at a time, and does not mind a field without a description.
"""

from collections.abc import Iterator
from typing import Any, Final

ALLOWED: Final = frozenset(
    {
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    }
)
_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_TYPES: Final = frozenset({"object", "array", "string", "integer", "boolean"})
"""No `number`: a float does not survive a round trip through every client."""


def lint(schema: dict[str, Any], *, path: str = "") -> Iterator[str]:
    """Yield one line for each fault, with the path of the field."""
    at = path or "(root)"
    unknown = sorted(set(schema) - ALLOWED)
    if unknown:
        yield f"{at}: {', '.join(unknown)} is not structural"
    yield from (f"{at}: {fault}" for fault in _type_faults(schema))
    yield from (f"{at}: {fault}" for fault in _bound_faults(schema))
    yield from (f"{at}: {fault}" for fault in _list_faults(schema))
    for rule in schema.get("x-kubernetes-validations", []):
        if not rule.get("message"):
            yield f"{at}: rule without a message: {rule.get('rule')}"
    for name, child in schema.get("properties", {}).items():
        if not child.get("description"):
            yield f"{path}.{name}: no description"
        yield from lint(child, path=f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(key), dict):
            yield from lint(schema[key], path=f"{path}{suffix}")


def _type_faults(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("x-kubernetes-int-or-string"):
        if "type" in schema or schema.get("anyOf") != _INT_OR_STRING:
            yield "int-or-string has no type and exactly anyOf integer, string"
        return
    if schema.get("type") not in _TYPES:
        yield f"type is {schema.get('type')!r}"
    if "anyOf" in schema:
        yield "anyOf holds only for int-or-string"
    if isinstance(schema.get("additionalProperties"), bool):
        yield "additionalProperties must be a schema"
    if "additionalProperties" in schema and "properties" in schema:
        yield "has both properties and additionalProperties"
    if schema.get("type") == "object" and not {"properties", "additionalProperties"} & set(schema):
        yield "an object without fields loses all of them"
    missing = set(schema.get("required", [])) - set(schema.get("properties", {}))
    if missing:
        yield f"requires {', '.join(sorted(missing))}, which it does not have"


def _bound_faults(schema: dict[str, Any]) -> Iterator[str]:
    """Without bounds the cost of CEL rules cannot be estimated, and the API server refuses them."""
    if schema.get("x-kubernetes-int-or-string") and "maxLength" not in schema:
        yield "no maxLength"
    if schema.get("type") == "string" and not {"maxLength", "enum", "format"} & set(schema):
        yield "no maxLength"
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield "no maxItems"
    if "additionalProperties" in schema and "maxProperties" not in schema:
        yield "no maxProperties"


def _list_faults(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("type") != "array":
        return
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("atomic", "map"):
        yield "x-kubernetes-list-type must say atomic or map"
    items = schema.get("items", {})
    if not items:
        yield "no items"
    for key in schema.get("x-kubernetes-list-map-keys", []):
        child = items.get("properties", {}).get(key, {})
        if key not in items.get("required", []) and "default" not in child:
            yield f"list key {key} must be required or have a default"
