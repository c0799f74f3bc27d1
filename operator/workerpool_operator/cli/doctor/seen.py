"""What `wpool doctor` has seen of a cluster, and what it says of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from workerpool_operator.cli.doctor.operator_rights import Held
    from workerpool_operator.cli.doctor.rights import Right

Json = Mapping[str, Any]

OPERATOR_SELECTOR: Final = "app.kubernetes.io/name=workerpool-operator"
VERSION_LABEL: Final = "app.kubernetes.io/version"
_RELEASE_LABEL: Final = "app.kubernetes.io/instance"
_CHART: Final = "charts/workerpool-operator"
INSTALL: Final = f"helm install workerpool-operator {_CHART} --namespace workerpool-system --create-namespace"


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    NOTE = "note"
    """Works, with less than there could be."""
    BAD = "bad"
    """Something does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What you may not see, or what could not be read: why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cluster, as far as its user may see it. None: it is not there."""

    kubernetes: tuple[int, int] | None
    definition: Json | Hidden | None
    """The CustomResourceDefinition of WorkerPool."""
    wanted: Json
    """The one that this release brings."""
    release: str
    """Of this command."""
    operators: Sequence[Json] | Hidden
    """Deployments of the operator, in all namespaces."""
    slot: Json | Hidden | None
    """The APIService of external metrics."""
    rules_served: bool
    """Whether PrometheusRules are known here."""
    pools: Sequence[Json] | Hidden
    rules: Sequence[Json] | Hidden = ()
    """The pools' PrometheusRules."""
    evaluators: Sequence[Json] | Hidden = ()
    """Resources of the prometheus-operator that evaluate rules or read metrics: Prometheus, ThanosRuler, an agent."""
    monitors_served: bool = True
    """Whether PodMonitors and ServiceMonitors are known here."""
    pod_monitors: Sequence[Json] | Hidden = ()
    service_monitors: Sequence[Json] | Hidden = ()
    homes: Mapping[str, Json] = field(default_factory=dict)
    """The operators' namespaces, by name."""
    held: Sequence["Held"] = ()
    """Of each operator, which rights it lacks."""
    only: str = ""
    """The namespace whose pools were asked for; empty: those of all."""
    only_there: bool | Hidden = True
    """Whether there is such a namespace."""
    namespaces: Mapping[str, Json] = field(default_factory=dict)
    """Those with pools, by name."""
    refused: Collection["Right"] = ()
    """What this user may not do that some command needs."""
    own: str = ""
    """The namespace in which that was asked."""


def upgrade(operator: Json, *words: str) -> str:
    """How Helm upgrades this operator (its Deployment), with what was set before."""
    metadata: Json = operator["metadata"]
    release = (metadata.get("labels") or {}).get(_RELEASE_LABEL) or metadata["name"]
    return " ".join((f"helm upgrade {release} {_CHART} --namespace {metadata['namespace']} --reuse-values", *words))


def some(names: set[str], most: int = 3) -> str:
    """The first of them, and how many more there are."""
    shown = sorted(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
