"""Which rights each command needs of its user, and which commands a user cannot use for want of some: pure.

The one table: `wpool doctor` asks for all that stand in it, and a test holds that each command has a row. What a
command only looks up to say more, such as whether the operator is older, is not in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from workerpool_operator.cli.doctor.seen import Finding, Level, Seen


@dataclass(frozen=True, slots=True)
class Right:
    """To do one thing with one resource."""

    verb: str
    resource: str
    """With its subresource, such as `pods/log`."""
    group: str = ""
    cluster: bool = False
    """Of a kind that lies in no namespace."""
    name: str = ""
    """Of the one object that it is about; empty: all of the kind."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"

    def question(self, namespace: str) -> dict[str, str]:
        """The `resourceAttributes` of an access review."""
        resource, _, below = self.resource.partition("/")
        where = "" if self.cluster else namespace
        asked = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": below,
            "namespace": where,
        }
        return asked | ({"name": self.name} if self.name else {})


def _all(verbs: str, resource: str, group: str = "", *, cluster: bool = False) -> tuple[Right, ...]:
    return tuple(Right(verb, resource, group, cluster) for verb in verbs.split())


def _pools(verbs: str) -> tuple[Right, ...]:
    return _all(verbs, "workerpools", "workerpool.dev")


_POD_EXEC: Final = (*_all("get", "pods"), *_all("create get", "pods/exec"))
_LOGS: Final = (*_pools("get"), *_all("list", "pods"), *_all("get", "pods/log"))
_BY_JOB: Final = (
    *_pools("get"),
    *_all("get", "deployments", "apps"),
    *_all("create delete", "jobs", "batch"),
    *_all("list", "pods"),
    *_all("get", "pods/log"),
)
"""Of dead letters: a Job in the pool's namespace reads them."""
_CHANGE: Final = _pools("get patch")
_NONE: Final[tuple[Right, ...]] = ()
"""It asks no cluster, or none that has rights to tell of."""

NEEDS: Final[Mapping[str, tuple[Right, ...]]] = {
    "get": (*_pools("get list watch"), *_all("list watch", "pods"), *_all("get", "pods/proxy")),
    "explain": _pools("get"),
    "describe": (*_pools("get"), *_all("list", "pods"), *_all("list", "events", "events.k8s.io")),
    "events": (*_pools("get"), *_all("list watch", "events", "events.k8s.io")),
    "logs": _LOGS,
    "top": (*_pools("get list"), *_all("list", "pods"), *_all("get", "pods/proxy")),
    "adopt": (
        *_pools("get create patch"),
        *_all("get patch", "deployments", "apps"),
        *_all("list", "horizontalpodautoscalers", "autoscaling"),
        *_all("list", "pods"),
    ),
    "throttle": _CHANGE,
    "stop": _CHANGE,
    "start": _pools("patch"),
    "drain": (*_CHANGE, *_all("list", "pods"), *_all("get patch", "nodes", cluster=True)),
    "restart": _pools("patch"),
    "migrate": _CHANGE,
    "reassign": _CHANGE,
    "dlq list": _BY_JOB,
    "dlq show": _BY_JOB,
    "dlq redrive": _BY_JOB,
    "dlq purge": _BY_JOB,
    "ui": (
        *_pools("get list watch patch"),
        *_all("list watch", "pods"),
        *_all("get", "pods/log"),
        *_all("list watch", "events", "events.k8s.io"),
        *_all("get", "services/proxy"),
        *_all("list watch", "workerpoolbudgets", "workerpool.dev", cluster=True),
    ),
    "rollout get": _pools("get"),
    "rollout status": _pools("get"),
    "rollout history": (*_pools("get"), *_all("list", "controllerrevisions", "apps")),
    "rollout promote": _CHANGE,
    "rollout abort": _CHANGE,
    "rollout retry": _CHANGE,
    "rollout undo": _CHANGE,
    "rollout pause": _CHANGE,
    "rollout resume": _CHANGE,
    "init": _NONE,
    "tls": _NONE,
    "lint": _NONE,
    "checklist": _pools("get"),
    "completion": _NONE,
    "job status": (*_BY_JOB, *_POD_EXEC),
    "report": _NONE,
    "silence": _pools("get"),
    "cost": _NONE,
    "doctor": _pools("list"),
    "load": (*_pools("get list watch"), *_all("list watch", "pods"), *_all("get", "pods/proxy")),
    "size": _NONE,
    "simulate": _NONE,
    "check": _NONE,
    "profile": _NONE,
    "dump": _POD_EXEC,
    "flame": _POD_EXEC,
    "sweep": _NONE,
    "bench": _NONE,
    "chaos": (
        *_pools("get list"),
        *_all("get list create delete", "pods"),
        *_all("create get", "pods/exec"),
        *_all("list create patch delete", "networkpolicies", "networking.k8s.io"),
        *_all("get list create patch delete", "services"),
        *_all("list create delete", "jobs", "batch"),
        *_all("get", "deployments", "apps"),
        *_all("get list patch", "nodes", cluster=True),
    ),
}
"""By the words of the command."""
ALL: Final = tuple(dict.fromkeys(right for rights in NEEDS.values() for right in rights))


def check(seen: Seen) -> Iterator[Finding]:
    """Which commands cannot be used, or not for all that they do; those that lack the same together."""
    lacking: dict[tuple[Right, ...], list[str]] = {}
    for command, rights in NEEDS.items():
        if missing := tuple(right for right in rights if right in seen.refused):
            lacking.setdefault(missing, []).append(command)
    where = f" in {seen.own}" if seen.own else ""
    for missing, commands in lacking.items():
        yield Finding(
            subject="your rights",
            level=Level.NOTE,
            text=f"wpool {', '.join(commands)}: you may not {', '.join(map(str, missing))}{where}",
            remedy=f"ask for a role with {_rules(missing)}",
        )
    if not lacking:
        yield Finding(subject="your rights", level=Level.GOOD, text=f"all commands can be used{where}")


def _rules(missing: tuple[Right, ...]) -> str:
    """As words of a role: verbs by resource."""
    verbs: dict[str, list[str]] = {}
    for right in missing:
        verbs.setdefault(f"{right.resource}{f'.{right.group}' if right.group else ''}", []).append(right.verb)
    return "; ".join(f"{resource}: {', '.join(words)}" for resource, words in verbs.items())
