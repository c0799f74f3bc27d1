"""Whether the resource definition in a cluster is the one of this release: pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workerpool_operator.cli.doctor.seen import VERSION_LABEL, Finding, Hidden, Json, Level, Seen, some

_WITHIN: Final = frozenset({"properties", "items", "additionalProperties"})
"""What holds further schemas."""
_WORDS: Final = frozenset({"description", "title"})
"""What refuses and admits nothing."""
_RULES: Final = "x-kubernetes-validations"
_ANY: Final = ".*"
_SHOWN: Final = 100


def judged(found: Json, seen: Seen) -> Finding:
    """What of the definition that was found is not as this release has it."""
    missing, surplus = fields(seen.wanted) - fields(found), fields(found) - fields(seen.wanted)
    if missing:
        return _said(
            Level.BAD,
            f"older than this command: it lacks {some(missing)}",
            "apply crds/ of the operator's release (Helm upgrades no definitions by itself)",
        )
    if surplus:
        text = f"newer than this command, which does not know {some(surplus)}"
        return _said(Level.NOTE, text, "upgrade wpool")
    here, ours = set(facts(_stored(found))), set(facts(_stored(seen.wanted)))
    if here == ours:
        return _said(Level.GOOD, "that of this release")
    apart = (("lacks", ours - here), ("has", here - ours))
    told = " and ".join(f"{verb} ({some({_short(one) for one in these})})" for verb, these in apart if these)
    # Where the operator is of another release than this command, so may the definition be.
    level = Level.NOTE if _other_release(seen) else Level.BAD
    remedy = "apply crds/ of the operator's release, and use the wpool of that release"
    return _said(level, f"has the fields of this release, and asks something else of them: it {told}", remedy)


def fields(definition: Json) -> set[str]:
    """Paths of all properties of its stored version, such as `spec.scaling.mode`."""
    return paths(_stored(definition))


def paths(schema: Json) -> set[str]:
    """As `fields`, of a schema."""
    return {path for path, _ in _schemas(schema, "") if path and not path.endswith(_ANY)}


def facts(schema: Json) -> Iterator[str]:
    """What it asks of each field beside being there: type, bounds, choices, default, what is required, CEL rules."""
    for path, part in _schemas(schema, ""):
        where = path or "the resource"
        for key, value in part.items():
            if key == "required":
                yield from (f"{where}: {name} is required" for name in value)
            elif key == "enum":
                yield from (f"{where}: may be {_written(one)}" for one in value)
            elif key == _RULES:
                yield from (f"{where}: rule {one['rule']}" for one in value)
            elif key not in _WITHIN | _WORDS:
                yield f"{where}: {key} {_written(value)}"


def _schemas(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Each with the path of its field. Items have that of their list, values of a map that of the map with `.*`."""
    yield path, schema
    for name, below in (schema.get("properties") or {}).items():
        yield from _schemas(below, f"{path}.{name}".removeprefix("."))
    for key, mark in (("items", ""), ("additionalProperties", _ANY)):
        if isinstance(below := schema.get(key), Mapping):
            yield from _schemas(below, f"{path}{mark}")


def _stored(definition: Json) -> Json:
    versions: Sequence[Json] = definition["spec"]["versions"]
    stored = next(version for version in versions if version.get("storage"))
    schema: Json = stored["schema"]["openAPIV3Schema"]
    return schema


def _written(value: Any) -> str:
    """The same for what the API server gives back, which writes 1.0 as 1."""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)


def _short(fact: str) -> str:
    return fact if len(fact) <= _SHOWN else f"{fact[:_SHOWN]}..."


def _other_release(seen: Seen) -> bool:
    if isinstance(seen.operators, Hidden):
        return True
    return any((one["metadata"].get("labels") or {}).get(VERSION_LABEL) != seen.release for one in seen.operators)


def _said(level: Level, text: str, remedy: str = "") -> Finding:
    return Finding(subject="resource definition", level=level, text=text, remedy=remedy)
