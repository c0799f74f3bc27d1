"""What would become of an object that is applied with kubectl at its defaults: all that speaks against it."""

import functools
from collections.abc import Mapping
from typing import Any

from workerpool_operator.api.crd import DEFINITIONS, Definition, root_schema
from workerpool_operator.api.pool import API_VERSION
from workerpool_operator.cli.lint import metadata
from workerpool_operator.cli.lint.fault import Fault
from workerpool_operator.cli.lint.read import Document
from workerpool_operator.cli.lint.validate import unknown, validate


def definition(body: Mapping[str, Any]) -> Definition | None:
    """What the object is of; None: it is not ours."""
    if body.get("apiVersion") != API_VERSION:
        return None
    return next((of for of in DEFINITIONS if of.kind == body.get("kind")), None)


def nearly_ours(body: Mapping[str, Any]) -> str:
    """Why an object that says it is of our group is none that the API server would take; empty for others' objects.

    kubectl refuses it: "no matches for kind".
    """
    version, kind = str(body.get("apiVersion", "")), str(body.get("kind", ""))
    kinds = [of.kind for of in DEFINITIONS]
    if version.partition("/")[0] == API_VERSION.partition("/")[0]:
        return f"there is no kind {kind} in {version}, but {' and '.join(kinds)} in {API_VERSION}"
    return f"{kind} is a kind of {API_VERSION}, and not of {version or 'no apiVersion'}" if kind in kinds else ""


def examine(document: Document, of: Definition) -> list[Fault]:
    """All its faults: keys that are there twice, fields that nobody knows, and then the order of its fields."""
    body, schema = document.body, _schema(of.kind)
    return [*document.doubled, *unknown(body, schema), *metadata.faults(body.get("metadata")), *validate(body, schema)]


@functools.cache
def _schema(kind: str) -> Mapping[str, Any]:
    found = root_schema(next(of for of in DEFINITIONS if of.kind == kind))
    return found | {
        "required": ["metadata", *found["required"]],
        "properties": found["properties"] | {"metadata": metadata.SCHEMA},
    }
