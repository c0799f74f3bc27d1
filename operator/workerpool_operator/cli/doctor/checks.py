"""From what was seen in a cluster to findings: pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Json = Mapping[str, Any]

OLDEST_KUBERNETES: Final = (1, 30)
"""As in the chart's `kubeVersion`."""
OPERATOR_SELECTOR: Final = "app.kubernetes.io/name=workerpool-operator"
_ENFORCE: Final = "pod-security.kubernetes.io/enforce"
VERSION_LABEL: Final = "app.kubernetes.io/version"
_WATCHED: Final = "WATCH_NAMESPACES"
_LEFT_ALONE: Final = "the operator looks after other namespaces only"
_MOST: Final = 20
"""Pools in trouble that are told one by one."""


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
    namespaces: Mapping[str, Json] = field(default_factory=dict)
    """Those with pools, by name."""
    refused: Sequence[str] = ()
    """What this user may not do that the commands need, such as `create pods/exec`."""


def findings(seen: Seen) -> list[Finding]:
    """All of them, in the order in which they should be mended."""
    checks = (_kubernetes, _definition, _operator, _slot, _rules, _namespaces, _pools, _rights)
    return [finding for check in checks for finding in check(seen)]


def _kubernetes(seen: Seen) -> Iterator[Finding]:
    if seen.kubernetes is None:
        yield Finding(subject="Kubernetes", level=Level.NOTE, text="does not tell its version")
        return
    version = ".".join(map(str, seen.kubernetes))
    if seen.kubernetes < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        yield Finding(
            subject="Kubernetes",
            level=Level.BAD,
            text=f"version {version}",
            remedy=f"the operator needs {oldest} or later",
        )
    else:
        yield Finding(subject="Kubernetes", level=Level.GOOD, text=f"version {version}")


def _definition(seen: Seen) -> Iterator[Finding]:
    subject = "resource definition"
    match seen.definition:
        case Hidden(why):
            yield Finding(subject=subject, level=Level.NOTE, text=f"not looked at: {why}")
        case None:
            yield Finding(
                subject=subject,
                level=Level.BAD,
                text="WorkerPool is not known in this cluster",
                remedy="install the operator: helm install workerpool-operator charts/workerpool-operator",
            )
        case definition:
            missing, surplus = fields(seen.wanted) - fields(definition), fields(definition) - fields(seen.wanted)
            if missing:
                yield Finding(
                    subject=subject,
                    level=Level.BAD,
                    text=f"older than this command: it lacks {some(missing)}",
                    remedy="apply crds/ of the operator's release (Helm upgrades no definitions by itself)",
                )
            elif surplus:
                yield Finding(
                    subject=subject,
                    level=Level.NOTE,
                    text=f"newer than this command, which does not know {some(surplus)}",
                    remedy="upgrade wpool",
                )
            else:
                yield Finding(subject=subject, level=Level.GOOD, text="that of this release")


def fields(definition: Json) -> set[str]:
    """Paths of all properties of its stored version, such as `spec.scaling.mode`."""
    versions: Sequence[Json] = definition["spec"]["versions"]
    stored = next(version for version in versions if version.get("storage"))
    return paths(stored["schema"]["openAPIV3Schema"])


def paths(schema: Json) -> set[str]:
    """As `fields`, of a schema."""
    return set(_paths(schema, ()))


def _paths(schema: Json, above: tuple[str, ...]) -> Iterator[str]:
    for name, below in (schema.get("properties") or {}).items():
        yield ".".join((*above, name))
        yield from _paths(below, (*above, name))
    if isinstance(schema.get("items"), Mapping):
        yield from _paths(schema["items"], above)


def _operator(seen: Seen) -> Iterator[Finding]:
    subject = "operator"
    if isinstance(seen.operators, Hidden):
        yield Finding(subject=subject, level=Level.NOTE, text=f"not looked at: {seen.operators.why}")
        return
    if not seen.operators:
        yield Finding(
            subject=subject,
            level=Level.BAD,
            text="is not installed: pools are kept as they are",
            remedy="helm install workerpool-operator charts/workerpool-operator",
        )
        return
    names = [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in seen.operators]
    if len(names) > 1:
        yield Finding(
            subject=subject,
            level=Level.BAD,
            text=f"is installed more than once: {', '.join(names)}",
            remedy="uninstall all but one: they undo each other's work",
        )
    for name, one in zip(names, seen.operators, strict=True):
        ready = (one.get("status") or {}).get("readyReplicas", 0)
        release = (one["metadata"].get("labels") or {}).get(VERSION_LABEL, "")
        if not ready:
            yield Finding(
                subject=subject,
                level=Level.BAD,
                text=f"{name}: no replica is ready",
                remedy=f"kubectl -n {one['metadata']['namespace']} describe pods -l {OPERATOR_SELECTOR}",
            )
        elif release != seen.release:
            yield Finding(
                subject=subject,
                level=Level.NOTE,
                text=f"{name} is release {release or 'unknown'}, this command is {seen.release}",
                remedy="use the command of the operator's release",
            )
        else:
            yield Finding(subject=subject, level=Level.GOOD, text=f"{name}: {ready} ready, release {release}")


def _slot(seen: Seen) -> Iterator[Finding]:
    subject = "external metrics"
    match seen.slot:
        case Hidden(why):
            yield Finding(subject=subject, level=Level.NOTE, text=f"not looked at: {why}")
        case None:
            yield Finding(
                subject=subject,
                level=Level.GOOD,
                text="the place is free; scaling.mode auto means direct",
            )
        case slot:
            service: Json = slot["spec"].get("service") or {}
            ours = service.get("name") == "workerpool-operator-external-metrics"
            where = f"{service.get('namespace')}/{service.get('name')}"
            conditions: Sequence[Json] = (slot.get("status") or {}).get("conditions") or ()
            told: Json = next((one for one in conditions if one.get("type") == "Available"), {})
            if told.get("status") != "True":
                yield Finding(
                    subject=subject,
                    level=Level.BAD,
                    text=f"{where} does not answer: {told.get('message', 'no word yet')}",
                    remedy="docs/how-to/external-metrics.md"
                    if ours
                    else "mend that provider, or remove its APIService",
                )
            elif ours:
                yield Finding(subject=subject, level=Level.GOOD, text="served by the operator")
            else:
                yield Finding(
                    subject=subject,
                    level=Level.NOTE,
                    text=f"the place is taken by {where}",
                    remedy="leave externalMetrics.enabled off; scaling.mode auto means direct then",
                )


def _rules(seen: Seen) -> Iterator[Finding]:
    if seen.rules_served:
        yield Finding(subject="alerts", level=Level.GOOD, text="PrometheusRules are known here")
    else:
        yield Finding(
            subject="alerts",
            level=Level.NOTE,
            text="PrometheusRules are not known here, so pools have no alerts",
            remedy="install the prometheus-operator, or take the rules from docs/how-to/alerts.md",
        )


def _namespaces(seen: Seen) -> Iterator[Finding]:
    for name, namespace in sorted(seen.namespaces.items()):
        labels: Json = namespace["metadata"].get("labels") or {}
        if labels.get(_ENFORCE) != "restricted":
            yield Finding(
                subject=f"namespace {name}",
                level=Level.NOTE,
                text="takes pods that are less restricted than workers are",
                remedy=f"kubectl label namespace {name} {_ENFORCE}=restricted",
            )


def _pools(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.pools, Hidden):
        yield Finding(subject="pools", level=Level.BAD, text=f"cannot be listed: {seen.pools.why}")
        return
    troubled = 0
    watched = _watched(seen.operators)
    for pool in seen.pools:
        metadata = pool["metadata"]
        left_alone = watched and metadata.get("namespace", "") not in watched
        said = [_LEFT_ALONE] if left_alone else list(_said(pool))
        troubled += bool(said)
        if troubled <= _MOST:
            for text in said:
                name = f"{metadata.get('namespace', '')}/{metadata['name']}"
                yield Finding(
                    subject=f"pool {name}",
                    level=Level.BAD,
                    text=text,
                    remedy="helm upgrade with the namespace among watchNamespaces"
                    if left_alone
                    else f"wpool get {metadata['name']} -n {metadata.get('namespace', '')} --watch",
                )
    if troubled > _MOST:
        yield Finding(subject="pools", level=Level.BAD, text=f"{troubled - _MOST} more are in trouble")
    elif not troubled:
        yield Finding(subject="pools", level=Level.GOOD, text=f"all {len(seen.pools)} are well")


def _watched(operators: Sequence[Json] | Hidden) -> frozenset[str]:
    """The namespaces that the operator looks after; empty: all of them, or nobody may see which."""
    found: set[str] = set()
    for one in () if isinstance(operators, Hidden) else operators:
        pod: Json = one.get("spec", {}).get("template", {}).get("spec", {})
        settings = {
            variable["name"]: variable.get("value", "")
            for container in pod.get("containers", ())
            for variable in container.get("env", ())
        }
        if not (named := settings.get(_WATCHED)):
            return frozenset()
        found |= {name.strip() for name in named.split(",")}
    return frozenset(found)


def _said(pool: Json) -> Iterator[str]:
    """By its conditions; a pool that waits for its workers is on its way, and not in trouble."""
    told = {one["type"]: one for one in (pool.get("status") or {}).get("conditions") or ()}
    if not told:
        yield "the operator has not looked at it yet"
        return
    for kind, bad in (("QueueReachable", "False"), ("ScalingActive", "False"), ("Stalled", "True")):
        one = told.get(kind, {})
        if one.get("status") == bad:
            yield f"{kind}={bad} ({one.get('reason')}): {one.get('message') or 'no more is known'}"
    ready, progressing = told.get("Ready", {}), told.get("Progressing", {})
    if ready.get("status") == "False" and progressing.get("status") != "True":
        yield f"Ready=False ({ready.get('reason')}): {ready.get('message') or 'no more is known'}"


def _rights(seen: Seen) -> Iterator[Finding]:
    if seen.refused:
        yield Finding(
            subject="your rights",
            level=Level.NOTE,
            text=f"you may not {', '.join(seen.refused)}",
            remedy="some commands will say so; ask for a role with these",
        )
    else:
        yield Finding(subject="your rights", level=Level.GOOD, text="all commands can be used")


def some(names: set[str], most: int = 3) -> str:
    """The first of them, and how many more there are."""
    shown = sorted(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
