"""The API server's validation of a resource, offline: its structural schema with defaults, bounds and CEL rules.

The schema is the very one that the resource definition holds (`workerpool_operator.api.crd`), so what is refused here
is what the API server of a cluster with this release refuses, with the same words where a rule has words. What only a
cluster knows is not looked at: whether names that are referred to are there, admission policies, quotas.
"""

import copy
import functools
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import cel

from workerpool_operator.cli.lint.fault import Fault

Json = Any
Schema = Mapping[str, Any]

_RULES: Final = "x-kubernetes-validations"
_FREE: Final = "x-kubernetes-preserve-unknown-fields"
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
}
_KEY: Final = re.compile(r"\[([^]]*[^]0-9][^]]*)\]")
_WHOLE: Final = range(-(2**63), 2**63)


def validate(body: Mapping[str, Any], schema: Schema) -> list[Fault]:
    """All faults of a resource that is created, in the order of its fields, but for those that `unknown` tells.

    Its status is not looked at: it is a subresource, and what a creation says of it is dropped.
    """
    filled = {name: copy.deepcopy(value) for name, value in body.items() if name != "status"}
    _fill(filled, schema)
    return list(_look(filled, schema, ""))


def unknown(value: Json, schema: Schema, at: str = "") -> Iterator[Fault]:
    """Fields that the schema does not have: with strict validation, which kubectl asks for, the object is refused."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from unknown(one, schema.get("items", {}), f"{at}[{number}]")
    if not isinstance(value, dict) or schema.get("type") != "object" or schema.get(_FREE):
        return
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    for name, one in value.items():
        child = known.get(name, more)
        if isinstance(child, Mapping):
            yield from unknown(one, child, _joined(at, name))
        elif one is None:
            yield Fault(
                field=_joined(at, name), message="unknown field, and null: only apply leaves it out", warning=True
            )
        else:
            yield Fault(field=_joined(at, name), message="unknown field")


def _fill(value: Json, schema: Schema) -> None:
    """Drop what is null and write in the defaults, as the API server does before it looks."""
    if isinstance(value, dict):
        for name in schema.get("properties", {}).keys() & {key for key, one in value.items() if one is None}:
            del value[name]
        for name, child in schema.get("properties", {}).items():
            if name not in value and "default" in child:
                value[name] = copy.deepcopy(child["default"])
            if name in value:
                _fill(value[name], child)
        if isinstance(schema.get("additionalProperties"), Mapping):
            for one in value.values():
                _fill(one, schema["additionalProperties"])
    elif isinstance(value, list):
        for one in value:
            _fill(one, schema.get("items", {}))


def _look(value: Json, schema: Schema, at: str) -> Iterator[Fault]:
    # The keys of a map stand behind a dot where a bound speaks, and in brackets where a rule does.
    bound = _KEY.sub(r".\1", at)
    found = list(_type(value, schema, bound)) or [*_bounds(value, schema, bound), *_below(value, schema, at)]
    yield from found
    # A rule on a value that is not even of its form would say nothing but that.
    if not found:
        yield from _rules(value, schema, at)


def _type(value: Json, schema: Schema, at: str) -> Iterator[Fault]:
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield Fault(field=at, message=f"must be of type integer or string: {_shown(value)}")
        return
    wanted = schema.get("type", "object")
    fits = isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
    if wanted == "integer" and isinstance(value, float) and value.is_integer():
        fits = True
    if not fits:
        yield Fault(field=at, message=f"must be of type {wanted}: {_shown(value)}")


def _bounds(value: Json, schema: Schema, at: str) -> Iterator[Fault]:
    if "enum" in schema and value not in schema["enum"]:
        known = ", ".join(json.dumps(one) for one in schema["enum"])
        yield Fault(field=at, message=f"{_shown(value)} is none of the supported values: {known}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, at)
    if isinstance(value, str):
        if "pattern" in schema and not _pattern(schema["pattern"]).search(value):
            yield Fault(field=at, message=f"{_shown(value)} should match '{schema['pattern']}'")
        yield from _sized(len(value), schema, at, least="minLength", most="maxLength", unit="chars long")
    if isinstance(value, list):
        yield from _sized(len(value), schema, at, least="minItems", most="maxItems", unit="items")
        yield from _twice(value, schema, at)
    if isinstance(value, dict):
        yield from _sized(len(value), schema, at, least="minProperties", most="maxProperties", unit="properties")
        for name in schema.get("required", ()):
            if name not in value:
                yield Fault(field=_joined(at, name), message="Required value")


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    """As Go reads it, where the end is the end, and not before a line's."""
    return re.compile(re.sub(r"\$$", r"\\Z", text), re.ASCII)


def _number(value: float, schema: Schema, at: str) -> Iterator[Fault]:
    if value < schema.get("minimum", value):
        yield Fault(field=at, message=f"{value} should be greater than or equal to {schema['minimum']}")
    if value > schema.get("maximum", value):
        yield Fault(field=at, message=f"{value} should be less than or equal to {schema['maximum']}")
    if isinstance(value, int) and value not in _WHOLE:
        yield Fault(field=at, message="is beyond 64 bits")


def _sized(count: int, schema: Schema, at: str, *, least: str, most: str, unit: str) -> Iterator[Fault]:
    if count < schema.get(least, 0):
        yield Fault(field=at, message=f"should be at least {schema[least]} {unit}, and has {count}")
    if count > schema.get(most, count):
        yield Fault(field=at, message=f"should be at most {schema[most]} {unit}, and has {count}")


def _twice(value: Sequence[Json], schema: Schema, at: str) -> Iterator[Fault]:
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    seen = set[str]()
    for number, one in enumerate(value if keys else ()):
        key = json.dumps([one.get(name) for name in keys or ()] if isinstance(one, dict) else one)
        if key in seen:
            yield Fault(field=f"{at}[{number}]", message=f"Duplicate value: {key}")
        seen.add(key)


def _below(value: Json, schema: Schema, at: str) -> Iterator[Fault]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _look(one, schema.get("items", {}), f"{at}[{number}]")
    elif isinstance(value, dict) and not schema.get(_FREE):
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, one in value.items():
            if name in known:
                yield from _look(one, known[name], _joined(at, name))
            elif isinstance(more, Mapping):
                yield from _look(one, more, f"{at}[{name}]")


def _rules(value: Json, schema: Schema, at: str) -> Iterator[Fault]:
    for rule in schema.get(_RULES, ()):
        if not _holds(rule["rule"], value):
            yield Fault(field=f"{at}{rule.get('fieldPath', '')}".removeprefix("."), message=rule["message"])


def _holds(rule: str, value: Json) -> bool:
    context = cel.Context({"self": value})
    context.add_function("isSorted", _is_sorted)
    try:
        return cel.evaluate(rule, context) is True
    except (ValueError, TypeError, LookupError, RuntimeError):
        return False  # as the API server has it: a rule that cannot be evaluated does not hold


def _is_sorted(values: Sequence[Any]) -> bool:
    """Of Kubernetes' own functions the one that the rules use."""
    return all(one <= other for one, other in itertools.pairwise(values))


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _shown(value: Json) -> str:
    return json.dumps(value, default=str)[:120]
