"""The CustomResourceDefinition of WorkerPool, generated from the models."""

from typing import Any, Final

import yaml

from workerpool_operator.api._base import DNS_LABEL, Rule
from workerpool_operator.api.lint import lint
from workerpool_operator.api.pool import GROUP, KIND, MAX_NAME, PLURAL, VERSION, WorkerPool
from workerpool_operator.api.schema import structural
from workerpool_operator.api.spec import WorkerPoolSpec
from workerpool_operator.api.status import WorkerPoolStatus

CRD_NAME: Final = f"{PLURAL}.{GROUP}"
_HEADER: Final = "# Generated from operator/workerpool_operator/api by `make generate`: do not edit.\n"

NAME_RULE: Final = Rule(
    cel=f"self.metadata.name.size() <= {MAX_NAME} && self.metadata.name.matches('{DNS_LABEL}')",
    message=f"metadata.name must have at most {MAX_NAME} characters out of a-z, 0-9 and '-', and start and end with a "
    "letter or digit: the names of the pool's Deployments are made from it",
)


class InvalidSchemaError(ValueError):
    """The models cannot be written as a structural schema; the text lists each fault on a line."""


def columns() -> list[dict[str, Any]]:
    """Printer columns of `kubectl get`; those with priority 1 only with `-o wide`."""

    def column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
        found = {"name": name, "type": kind, "jsonPath": path, "description": description}
        return found | ({"priority": 1} if wide else {})

    return [
        column(
            "Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether all wanted workers are ready."
        ),
        column("Replicas", "integer", ".status.replicas", "Worker pods that are there and not stopping."),
        column("Desired", "integer", ".status.scaling.desired", "Worker pods that are wanted."),
        column("Depth", "integer", ".status.scaling.depth", "Jobs waiting in all queues of the pool."),
        column("Version", "string", '.status.versions[?(@.role=="stable")].hash', "Version of the workers."),
        column("Canary", "string", ".status.rollout.canary", "Version that is tried; empty while none is."),
        column("Age", "date", ".metadata.creationTimestamp", "Time since the pool was made."),
        column("Mode", "string", ".status.scaling.mode", "Who sets the size.", wide=True),
        column(
            "Reason",
            "string",
            '.status.conditions[?(@.type=="Ready")].reason',
            "Why the pool is, or is not, ready.",
            wide=True,
        ),
    ]


def root_schema() -> dict[str, Any]:
    """The resource's structural schema.

    Raises:
        InvalidSchemaError: the models hold something that a CRD cannot say.
    """
    spec = structural(WorkerPoolSpec)
    status = structural(WorkerPoolStatus, defaults=False)
    faults = [*lint(spec, path=".spec"), *lint(status, path=".status")]
    if faults:
        raise InvalidSchemaError("\n".join(faults))
    described = {name: WorkerPool.model_fields[name].description for name in ("spec", "status")}
    return {
        "type": "object",
        "description": WorkerPool.__doc__,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"Always {KIND}."},
            "metadata": {"type": "object"},
            "spec": spec | {"description": described["spec"]},
            "status": status | {"description": described["status"]},
        },
        "x-kubernetes-validations": [NAME_RULE.as_schema()],
    }


def definition() -> dict[str, Any]:
    """The whole CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD_NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["wpool"],
                "categories": [PLURAL],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": columns(),
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "schema": {"openAPIV3Schema": root_schema()},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors: each part is written out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return data is not None


def manifest() -> str:
    """The definition as the YAML that lies in `crds/`."""
    text = yaml.dump(definition(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _HEADER + text
