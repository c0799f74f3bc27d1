"""The CustomResourceDefinitions of WorkerPool and WorkerPoolBudget, generated from the models."""

from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from workerpool_operator.api._base import DNS_LABEL, Model, Rule
from workerpool_operator.api.budget import (
    BUDGET_KIND,
    BUDGET_PLURAL,
    MAX_BUDGET_NAME,
    BudgetSpec,
    BudgetStatus,
    WorkerPoolBudget,
)
from workerpool_operator.api.lint import lint
from workerpool_operator.api.pool import GROUP, KIND, MAX_NAME, PLURAL, VERSION, WorkerPool
from workerpool_operator.api.schema import structural
from workerpool_operator.api.spec import WorkerPoolSpec
from workerpool_operator.api.status import WorkerPoolStatus

_HEADER: Final = "# Generated from operator/workerpool_operator/api by `make generate`: do not edit.\n"


class InvalidSchemaError(ValueError):
    """The models cannot be written as a structural schema; the text lists each fault on a line."""


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    found = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return found | ({"priority": 1} if wide else {})


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What is said of one kind of resource, beside its models."""

    kind: str
    plural: str
    short: str
    model: type[Model]
    spec: type[Model]
    status: type[Model]
    name_rule: Rule
    columns: list[dict[str, Any]]
    """Printer columns of `kubectl get`; those with priority 1 only with `-o wide`."""
    namespaced: bool = True
    subresources: dict[str, Any] = field(default_factory=dict)
    """Beside `status`."""

    @property
    def name(self) -> str:
        """The CustomResourceDefinition's."""
        return f"{self.plural}.{GROUP}"


POOL: Final = Definition(
    kind=KIND,
    plural=PLURAL,
    short="wpool",
    model=WorkerPool,
    spec=WorkerPoolSpec,
    status=WorkerPoolStatus,
    name_rule=Rule(
        cel=f"self.metadata.name.size() <= {MAX_NAME} && self.metadata.name.matches('{DNS_LABEL}')",
        message=f"metadata.name must have at most {MAX_NAME} characters out of a-z, 0-9 and '-', and start and end "
        "with a letter or digit: the names of the pool's Deployments are made from it",
    ),
    columns=[
        _column(
            "Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether all wanted workers are ready."
        ),
        _column("Replicas", "integer", ".status.replicas", "Worker pods that are there and not stopping."),
        _column("Desired", "integer", ".status.scaling.desired", "Worker pods that are wanted."),
        _column("Depth", "integer", ".status.scaling.depth", "Jobs waiting in all queues of the pool."),
        _column("Version", "string", '.status.versions[?(@.role=="stable")].hash', "Version of the workers."),
        _column("Canary", "string", ".status.rollout.canary", "Version that is tried; empty while none is."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since the pool was made."),
        _column("Mode", "string", ".status.scaling.mode", "Who sets the size.", wide=True),
        _column(
            "Reason",
            "string",
            '.status.conditions[?(@.type=="Ready")].reason',
            "Why the pool is, or is not, ready.",
            wide=True,
        ),
    ],
    subresources={
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    },
)
BUDGET: Final = Definition(
    kind=BUDGET_KIND,
    plural=BUDGET_PLURAL,
    short="wpbudget",
    model=WorkerPoolBudget,
    spec=BudgetSpec,
    status=BudgetStatus,
    namespaced=False,
    name_rule=Rule(
        cel=f"self.metadata.name.size() <= {MAX_BUDGET_NAME} && self.metadata.name.matches('{DNS_LABEL}')",
        message=f"metadata.name must have at most {MAX_BUDGET_NAME} characters out of a-z, 0-9 and '-', and start and "
        "end with a letter or digit",
    ),
    columns=[
        _column("Max", "integer", ".spec.maxReplicas", "Worker pods that its pools may have together."),
        _column("Used", "integer", ".status.used", "Worker pods that they have."),
        _column("Granted", "integer", ".status.granted", "Worker pods that they may have."),
        _column("Wanted", "integer", ".status.wanted", "Worker pods that they would have without the budget."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since the budget was made."),
    ],
)
DEFINITIONS: Final = (POOL, BUDGET)


def root_schema(of: Definition = POOL) -> dict[str, Any]:
    """The resource's structural schema.

    Raises:
        InvalidSchemaError: the models hold something that a CRD cannot say.
    """
    spec = structural(of.spec)
    status = structural(of.status, defaults=False)
    faults = [*lint(spec, path=".spec"), *lint(status, path=".status")]
    if faults:
        raise InvalidSchemaError("\n".join(faults))
    described = {name: of.model.model_fields[name].description for name in ("spec", "status")}
    return {
        "type": "object",
        "description": of.model.__doc__,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"Always {of.kind}."},
            "metadata": {"type": "object"},
            "spec": spec | {"description": described["spec"]},
            "status": status | {"description": described["status"]},
        },
        "x-kubernetes-validations": [of.name_rule.as_schema()],
    }


def definition(of: Definition = POOL) -> dict[str, Any]:
    """The whole CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": of.name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if of.namespaced else "Cluster",
            "names": {
                "kind": of.kind,
                "listKind": f"{of.kind}List",
                "plural": of.plural,
                "singular": of.kind.lower(),
                "shortNames": [of.short],
                "categories": [PLURAL],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": of.columns,
                    "subresources": {"status": {}, **of.subresources},
                    "schema": {"openAPIV3Schema": root_schema(of)},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors: each part is written out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return data is not None


def manifest(of: Definition = POOL) -> str:
    """The definition as the YAML that lies in `crds/`."""
    text = yaml.dump(definition(of), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _HEADER + text
