"""From a pydantic model to a structural schema, the dialect of JSON schema that a CustomResourceDefinition takes.

What pydantic writes and the API server refuses or drops: `$ref`/`$defs` (inlined here), `anyOf` with null (the field
is optional instead), `const` (an enum of one), `title` and `examples` (dropped). What is left and still not structural
is found by `workerpool_operator.api.lint`.

Defaults: numbers, words and objects that hold such defaults are kept, so that `kubectl get -o yaml` shows what is in
force. Empty lists, maps and words say nothing and are left out; so is everything under `status`.
"""

from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

_DROPPED: Final = ("title", "examples", "$defs")
_RULES: Final = "x-kubernetes-validations"


def structural(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """The structural schema of a model.

    Args:
        model: the root; its nested models must not be recursive.
        defaults: whether the API server fills in what is unset.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, definitions=raw.get("$defs", {}), defaults=defaults)


def _convert(node: Schema, *, definitions: dict[str, Schema], defaults: bool) -> Schema:
    node = _optional(_inlined(node, definitions=definitions))
    node = {key: value for key, value in node.items() if key not in _DROPPED}
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if node.get("type") == "integer":
        node["format"] = "int64"

    def convert(child: Schema) -> Schema:
        return _convert(child, definitions=definitions, defaults=defaults)

    if "properties" in node:
        node["properties"] = {name: convert(child) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = convert(node[key])
    return _with_default(node, defaults=defaults)


def _inlined(node: Schema, *, definitions: dict[str, Schema]) -> Schema:
    """A reference replaced by what it stands for; what is written beside it wins, rules of both are kept."""
    while "$ref" in node or "allOf" in node:
        beside = dict(node)
        refs = [beside.pop("$ref")] if "$ref" in beside else [item["$ref"] for item in beside.pop("allOf")]
        merged: Schema = {}
        for ref in refs:
            merged |= definitions[ref.removeprefix("#/$defs/")]
        found = [*merged.get(_RULES, []), *beside.get(_RULES, [])]
        node = merged | beside | ({_RULES: found} if found else {})
    if "anyOf" in node and any("$ref" in branch for branch in node["anyOf"]):
        branches = [_inlined(branch, definitions=definitions) for branch in node["anyOf"]]
        node = node | {"anyOf": branches}
    return node


def _optional(node: Schema) -> Schema:
    """`X | None` is X: in a resource, what is unset is left out. A union that is left is kept for the linter."""
    branches = node.get("anyOf", [])
    if {"type": "null"} not in branches:
        return node
    others = [branch for branch in branches if branch != {"type": "null"}]
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    if len(others) != 1:
        return beside | {"anyOf": others}
    only: Schema = others[0]
    rules = [*only.get(_RULES, []), *beside.get(_RULES, [])]
    return only | beside | ({_RULES: rules} if rules else {})


def _with_default(node: Schema, *, defaults: bool) -> Schema:
    value = node.pop("default", None)
    if not defaults or value is None or value in ("", [], ()):
        return node
    if isinstance(value, dict):
        # Written out in full: the API server runs an object's rules on its default before it fills in the fields.
        fields = node.get("properties", {}).items()
        value = {name: child["default"] for name, child in fields if "default" in child}
        return node | {"default": value} if value else node
    return node | {"default": value}
