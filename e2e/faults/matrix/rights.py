"""F9: the operator may not do what it has to, the namespace has no room for it, or HPAs read nothing."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.lane import Lane
from e2e.faults.matrix import course, metrics, told
from e2e.faults.matrix.api import SECONDS
from e2e.faults.matrix.course import Tally, Upon, Variant
from e2e.faults.matrix.ground import ROOT, Ground, apply
from e2e.faults.matrix.rows import Trial
from e2e.faults.process import NAMESPACE
from e2e.faults.scenarios import POOL, Stage
from e2e.support.wait import until
from workerpool_operator.kube import ObjectRef
from workerpool_operator.kube.kinds import Kind

Json = dict[str, Any]

OPERATOR = f"system:serviceaccount:{NAMESPACE}:workerpool-operator"
_NAME = "workerpool-operator"
_ROLE = Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
_BINDING = Kind("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
_QUOTA = Kind("", "v1", "resourcequotas", "ResourceQuota")
_GIVEN = frozenset({"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})
_READING = ["get", "list", "watch"]
_TOLD_SECONDS = 20.0
_BY_DEPLOYMENTS = ("create", "scale-up", "scale-down", "version-change")


def grant(plane: ControlPlane) -> None:
    """Give the operator's account what the chart gives it."""
    documents = yaml.safe_load_all((ROOT / "charts" / "plain" / "workerpool-operator.yaml").read_text())
    apply(plane, [one for one in documents if one and one["kind"] in _GIVEN])


def _revoked(plane: ControlPlane) -> Upon:
    """Take the whole ClusterRole away; the Lease is in a Role of its own."""

    @asynccontextmanager
    async def upon(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del stage
        await lane.kube.delete(ObjectRef(_BINDING, "", _NAME))
        tally.injected += 1
        try:
            yield
            await asyncio.sleep(SECONDS)
        finally:
            await asyncio.to_thread(grant, plane)

    return upon


@asynccontextmanager
async def _may_not_write_deployments(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
    """The pool says so, in a condition and an event."""
    ref = ObjectRef(_ROLE, "", _NAME)
    rules = (await lane.kube.get(ref))["rules"]
    await lane.kube.merge_patch(ref, {"rules": [_reading(rule) for rule in rules]})

    async def is_known() -> bool:
        write = {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": stage.namespace}
        return not await lane.kube.allowed({"user": OPERATOR, "resourceAttributes": write})

    await until(is_known, seconds=30, what="the API server has heard that the operator may not write Deployments")
    tally.injected += 1
    try:
        yield
        tally.broken += await _told(lane, stage, "Forbidden")
    finally:
        await lane.kube.merge_patch(ref, {"rules": rules})


def _reading(rule: Json) -> Json:
    if "deployments" not in rule.get("resources", []):
        return rule
    reduced = copy.deepcopy(rule)
    reduced["verbs"] = [verb for verb in rule["verbs"] if verb in _READING]
    return reduced


def _quota(plane: ControlPlane, hard: Mapping[str, str]) -> Upon:
    """The namespace has room for so much; the pool says so, in a condition and an event."""

    @asynccontextmanager
    async def upon(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        ref = ObjectRef(_QUOTA, stage.namespace, "full")
        metadata = {"name": ref.name, "namespace": ref.namespace}
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": dict(hard)}}
        await asyncio.to_thread(apply, plane, [quota])

        async def counts() -> bool:
            return bool((await lane.kube.get(ref)).get("status", {}).get("used"))

        await until(counts, seconds=30, what="the quota counts")
        tally.injected += 1
        yield
        tally.broken += await _told(lane, stage, "QuotaExceeded")
        await lane.kube.delete(ref)

    return upon


async def _told(lane: Lane, stage: Stage, reason: str) -> list[str]:
    """What is missing of a condition and an event that name this reason."""
    return await told.missing(lane.kube, stage.ref(POOL), reason, seconds=_TOLD_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Rights:
    """F9."""

    number: str = "F9"
    what: str = (
        "The operator, with the chart's rights, loses all of them in each change, or those to write Deployments, and "
        "gets them back; quotas leave no room for a Deployment, or for another worker. Where it may still say so, the "
        "pool does: a condition and an event. All runs are without the kind PrometheusRule and a Prometheus. Then, "
        "under a pool in mode hpa, what HPAs read is away for a minute: nobody serves the metrics API, or an adapter "
        "in its place answers 500, as one does without its Prometheus. The size is held, the pool says so, one in mode "
        "direct grows, and the HPA goes on within three of its periods of 15 s; so it does when the process that "
        "serves the API is killed."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each."""
        plane = ground.plane()
        grant(plane)
        user = ground.home / "operator.kubeconfig"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"]
        plane.write_kubeconfig(user, user=OPERATOR, groups=groups)
        async with ground.lane(user=user) as lane:
            variants = _variants(plane)
            if ground.depth.short:
                variants = [(variants[1][0], _BY_DEPLOYMENTS, _BY_DEPLOYMENTS[1:2])]
            for variant, names, strikes in variants:
                async for trial in course.run(ground, lane, [variant], names=names, strikes=strikes):
                    yield trial
        if not ground.depth.short:
            async for trial in metrics.trials(plane, home=ground.home):
                yield trial


def _variants(plane: ControlPlane) -> list[tuple[Variant, tuple[str, ...], tuple[str, ...]]]:
    """Each with the changes that are made, and those in which it strikes; none named: all."""
    return [
        (Variant(name="all rights revoked", upon=_revoked(plane)), (), ()),
        (
            Variant(name="no right to write Deployments", upon=_may_not_write_deployments),
            _BY_DEPLOYMENTS,
            _BY_DEPLOYMENTS,
        ),
        (
            Variant(name="no room for a Deployment", upon=_quota(plane, {"count/deployments.apps": "0"})),
            _BY_DEPLOYMENTS[:1],
            _BY_DEPLOYMENTS[:1],
        ),
        (
            Variant(name="no room for another worker", upon=_quota(plane, {"pods": "2"})),
            _BY_DEPLOYMENTS,
            ("scale-up", "version-change"),
        ),
    ]
