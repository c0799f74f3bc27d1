"""What the operator may do, beside what the chart lets it do: pure. A test holds the table to the chart's roles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.cli.doctor.rights import Right
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Json, Level, Seen, some, upgrade
from workerpool_operator.domain.desired import COLLECTOR_NAME

_WRITES: Final = "list create patch delete"
_MOST: Final = 6
"""Rights that are named one by one."""


def _rights(table: Mapping[str, str], *, name: str = "") -> tuple[Right, ...]:
    """By resource and group, as `deployments.apps`: verbs, on the one object of this name or on all."""
    found: list[Right] = []
    for kind, verbs in table.items():
        resource, _, group = kind.partition(".")
        found += [Right(verb, resource, group, name=name) for verb in verbs.split()]
    return tuple(found)


_OF_COLLECTORS: Final = (
    "services",
    "serviceaccounts",
    "rolebindings.rbac.authorization.k8s.io",
    "networkpolicies.networking.k8s.io",
)
"""Of these the operator makes one in each namespace with pools."""
_EVERYWHERE: Final = _rights(
    {
        "workerpools.workerpool.dev": "list watch patch",
        "workerpools/status.workerpool.dev": "patch",
        "workerpools/finalizers.workerpool.dev": "update",
        "deployments.apps": f"{_WRITES} watch",
        "controllerrevisions.apps": f"{_WRITES} watch",
        "poddisruptionbudgets.policy": f"{_WRITES} watch",
        "horizontalpodautoscalers.autoscaling": f"{_WRITES} watch",
        "scaledobjects.keda.sh": _WRITES,
        "configmaps": _WRITES,
        **dict.fromkeys(_OF_COLLECTORS, "list create"),
        "pods": "get list watch patch delete",
        "prometheusrules.monitoring.coreos.com": _WRITES,
        "events.events.k8s.io": "create patch",
    }
)
WITH_POOLS: Final = (*_EVERYWHERE, *_rights(dict.fromkeys(_OF_COLLECTORS, "patch delete"), name=COLLECTOR_NAME))
"""Where there are pools: in all namespaces, or in those of watchNamespaces."""
IN_CLUSTER: Final = _rights(
    {
        "workerpoolbudgets.workerpool.dev": "list watch",
        "workerpoolbudgets/status.workerpool.dev": "patch",
        "namespaces": "list watch",
        "tokenreviews.authentication.k8s.io": "create",
    }
)
"""Of kinds that lie in no namespace."""
AT_HOME: Final = (
    *_rights({"leases.coordination.k8s.io": "create"}),
    *_rights({"leases.coordination.k8s.io": "get patch"}, name="workerpool-operator"),
)
"""In the operator's own namespace."""


@dataclass(frozen=True, slots=True)
class Account:
    """The service account that an operator runs as."""

    namespace: str
    name: str

    @classmethod
    def of(cls, operator: Json) -> "Account":
        """That of a Deployment."""
        pod: Json = ((operator.get("spec") or {}).get("template") or {}).get("spec") or {}
        return cls(operator["metadata"]["namespace"], pod.get("serviceAccountName") or "default")

    @property
    def user(self) -> str:
        """As the API server calls it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Those that each service account is in."""
        return ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated")

    def is_in(self, binding: Json) -> bool:
        """Whether it is one of the subjects of a binding."""
        for one in binding.get("subjects") or ():
            match one.get("kind"):
                case "ServiceAccount" if (one.get("namespace"), one.get("name")) == (self.namespace, self.name):
                    return True
                case "User" if one.get("name") == self.user:
                    return True
                case "Group" if one.get("name") in self.groups:
                    return True
        return False


def questions(account: Account, namespaces: Sequence[str]) -> tuple[tuple[Right, str], ...]:
    """Each right, and the namespace that it has to be had in; empty: in all. `namespaces` empty: those of all pools."""
    return (
        *((right, "") for right in IN_CLUSTER),
        *((right, account.namespace) for right in AT_HOME),
        *((right, namespace) for namespace in namespaces or ("",) for right in WITH_POOLS),
    )


def allows(rules: Sequence[Any], right: Right) -> bool:
    """Whether rules of roles give a right: to all objects of the kind, or to the one that it is about."""
    return any(
        (not rule.get("resourceNames") or right.name in rule["resourceNames"])
        and {right.verb, "*"} & set(rule.get("verbs") or ())
        and {right.group, "*"} & set(rule.get("apiGroups") or ())
        and {right.resource, "*"} & set(rule.get("resources") or ())
        for rule in rules
    )


@dataclass(frozen=True, slots=True)
class Held:
    """What one operator lacks, as `patch deployments.apps` and where; or why that was not looked at."""

    operator: Json
    lacks: Sequence[tuple[Right, str]] | Hidden


def check(seen: Seen) -> Iterator[Finding]:
    """One for each operator."""
    for held in seen.held:
        metadata: Json = held.operator["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}"
        if isinstance(held.lacks, Hidden):
            text = f"{name}: not looked at: {held.lacks.why}"
            yield Finding(subject="operator's rights", level=Level.NOTE, text=text, remedy=_WHO_MAY)
        elif held.lacks:
            lacks = some({_told(right, where) for right, where in held.lacks}, most=_MOST)
            yield Finding(
                subject="operator's rights",
                level=Level.BAD,
                text=f"{name} may not {lacks}",
                remedy=f"{upgrade(held.operator)} writes the chart's roles again; see who has changed them",
            )
        else:
            text = f"{name}: those of the chart"
            yield Finding(subject="operator's rights", level=Level.GOOD, text=text)


_WHO_MAY: Final = "have it looked at by someone who may create subjectaccessreviews, or list clusterrolebindings"


def _told(right: Right, where: str) -> str:
    group = f".{right.group}" if right.group else ""
    return f"{right}{group}" + (f" {right.name}" if right.name else "") + (f" in {where}" if where else "")
