"""From what was seen in a cluster to findings: pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from workerpool_operator.cli.doctor import alerts, operator_rights, pools, rights, scraping
from workerpool_operator.cli.doctor.schema import judged
from workerpool_operator.cli.doctor.seen import (
    INSTALL,
    OPERATOR_SELECTOR,
    VERSION_LABEL,
    Finding,
    Hidden,
    Json,
    Level,
    Seen,
)
from workerpool_operator.cli.tls import METRICS_SERVICE

OLDEST_KUBERNETES: Final = (1, 30)
"""As in the chart's `kubeVersion`."""
_ENFORCE: Final = "pod-security.kubernetes.io/enforce"


def findings(seen: Seen) -> list[Finding]:
    """All of them, in the order in which they should be mended."""
    checks = (
        _kubernetes,
        _definition,
        _operator,
        operator_rights.check,
        _slot,
        alerts.check,
        scraping.check,
        _namespaces,
        pools.check,
        rights.check,
    )
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
                remedy=f"install the operator: {INSTALL}",
            )
        case definition:
            yield judged(definition, seen)


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
            remedy=INSTALL,
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
            ours = service.get("name") == METRICS_SERVICE
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


def _namespaces(seen: Seen) -> Iterator[Finding]:
    for name, namespace in sorted(seen.namespaces.items()):
        labels: Json = namespace["metadata"].get("labels") or {}
        if labels.get(_ENFORCE) != "restricted":
            yield Finding(
                subject=f"namespace {name}",
                level=Level.NOTE,
                text="takes pods that are less restricted than workers are",
                remedy=f"kubectl label --overwrite --dry-run=server namespace {name} {_ENFORCE}=restricted tells which "
                "of its pods that would refuse; without --dry-run it holds",
            )
