"""The reference pages of the resources, below `docs/reference`, written from the same schemas as the CRDs."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from workerpool_operator.api.budget import BUDGET_KIND
from workerpool_operator.api.conditions import ConditionType
from workerpool_operator.api.crd import BUDGET, POOL, Definition, root_schema
from workerpool_operator.api.pool import API_VERSION, KIND
from workerpool_operator.api.reasons import Limiter, Reason

_INTRODUCTION: Final = f"""\
<!-- Generated from operator/workerpool_operator/api by `make generate`: do not edit. -->
# WorkerPool (`{API_VERSION}`)

Namespaced; plural `workerpools`, short name `wpool`, category `workerpools`; subresources `status` and `scale`.
`kubectl explain wpool.spec --recursive` shows the same fields. Durations are whole seconds. A reference has no
`namespace`: everything it names lies in the pool's own. Fields that are not listed are dropped by the API server.

The smallest pool:

```yaml
apiVersion: {API_VERSION}
kind: {KIND}
metadata:
  name: thumbnails
spec:
  worker:
    image: registry.example/thumbnails:1.4.2
  queues:
  - name: main
    redisStream: {{url: redis://redis:6379/0, stream: thumbnails, group: thumbnails}}
```
"""


_BUDGET_INTRODUCTION: Final = f"""\
<!-- Generated from operator/workerpool_operator/api by `make generate`: do not edit. -->
# WorkerPoolBudget (`{API_VERSION}`)

Cluster-scoped; plural `workerpoolbudgets`, short name `wpbudget`, category `workerpools`; subresource `status`. How its
seats are shared out, and how it is kept: [scaling](scaling.md#budgets).

```yaml
apiVersion: {API_VERSION}
kind: {BUDGET_KIND}
metadata:
  name: gpu-team
spec:
  maxReplicas: 20
  namespaceSelector: {{matchLabels: {{team: gpu}}}}
```
"""


def page() -> str:
    """The page of WorkerPool."""
    return "\n".join(
        [
            _INTRODUCTION,
            *_fields(POOL),
            "## Conditions\n\nAll are there from the first write on, `Unknown` until there is evidence.\n",
            _table(["Condition", "True means"], _enum_rows(ConditionType)),
            "## Reasons\n\nOf conditions and events.\n",
            _table(["Reason", "Meaning"], _enum_rows(Reason)),
            "## Limiters\n\nWords in `status.scaling.limitedBy`.\n",
            _table(["Limiter", "Meaning"], _enum_rows(Limiter)),
            *_columns(POOL),
        ]
    )


def budget_page() -> str:
    """The page of WorkerPoolBudget."""
    return "\n".join([_BUDGET_INTRODUCTION, *_fields(BUDGET), *_columns(BUDGET)])


def _fields(of: Definition) -> list[str]:
    schema = root_schema(of)
    spec, status = (schema["properties"][name] for name in ("spec", "status"))
    return [
        "## spec\n",
        _table(["Field", "Type", "Default", "Meaning"], _field_rows(spec, path="")),
        "## What is refused\n\nBeside the bounds above, with these words:\n",
        _table(["Where", "What to write"], _rule_rows(schema)),
        "## status\n",
        _table(["Field", "Type", "Meaning"], [[row[0], row[1], row[3]] for row in _field_rows(status, path="")]),
    ]


def _columns(of: Definition) -> list[str]:
    rows = [
        [column["name"], "with -o wide" if "priority" in column else "always", column["description"]]
        for column in of.columns
    ]
    return ["## Columns of `kubectl get`\n", _table(["Column", "Shown", "Meaning"], rows)]


def member_docs(enum: type[StrEnum]) -> dict[str, str]:
    """What each member means: the string literal below it, which Python itself does not keep.

    Members without one are left out.
    """
    body = ast.parse(textwrap.dedent(inspect.getsource(enum))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for member, text in itertools.pairwise(body.body):
        if (
            isinstance(member, ast.Assign)
            and isinstance(member.targets[0], ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[member.targets[0].id] = str(text.value.value)
    return found


def _enum_rows(enum: type[StrEnum]) -> list[list[str]]:
    docs = member_docs(enum)
    return [[f"`{member}`", docs[member.name]] for member in enum]


def _field_rows(schema: dict[str, Any], *, path: str) -> Iterator[list[str]]:
    """(field, type, default, meaning) of every field below, depth first."""
    for name, child in schema.get("properties", {}).items():
        at = f"{path}{name}"
        default = "required" if name in schema.get("required", []) else _default(child)
        # Else <NAME> would be taken for HTML.
        meaning = child["description"].replace("<", "\\<")
        yield [f"`{at}`", _kind(child), default, f"{meaning}{_bounds(child)}"]
        yield from _field_rows(child, path=f"{at}.")
        yield from _field_rows(child.get("items", {}), path=f"{at}[].")


def _rule_rows(schema: dict[str, Any], *, path: str = "") -> Iterator[list[str]]:
    for rule in schema.get("x-kubernetes-validations", []):
        where = f"{path}{rule.get('fieldPath', '')}".removeprefix(".") or "metadata.name"
        yield [f"`{where}`", rule["message"]]
    for name, child in schema.get("properties", {}).items():
        yield from _rule_rows(child, path=f"{path}.{name}")
    if "items" in schema:
        yield from _rule_rows(schema["items"], path=f"{path}[]")


def _kind(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "additionalProperties" in schema:
        return f"map of {_kind(schema['additionalProperties'])}"
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    return "time" if schema.get("format") == "date-time" else str(schema["type"])


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    return "" if value is None or isinstance(value, dict) else f"`{value}`"


def _bounds(schema: dict[str, Any]) -> str:
    """The bounds that a person runs into, as a sentence behind the description."""
    if "enum" in schema:
        return " One of " + ", ".join(f"`{value}`" if value else "empty" for value in schema["enum"]) + "."
    if "minimum" in schema and "maximum" in schema:
        return f" {schema['minimum']} to {schema['maximum']}."
    if schema.get("minimum"):
        return f" At least {schema['minimum']}."
    return ""


def _table(head: list[str], rows: Any) -> str:
    cells = [head, ["---"] * len(head), *rows]
    # A row is one line, whatever lines its text stands in.
    lines = ("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in cells)
    return "\n".join(lines) + "\n"
