"""Pools and snapshots for tests, with everything that a test does not care about filled in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workerpool_operator import api
from workerpool_operator.domain import desired
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.objects import Apply, Delete
from workerpool_operator.domain.plan import Plan
from workerpool_operator.domain.scaling import History, Sample, ScaleInMemory
from workerpool_operator.domain.snapshot import Absence, Child, Memory, Monitoring, Snapshot

NOW = 10_000.0
WALL = datetime(2026, 1, 1, tzinfo=UTC)


def pool(*, status: Mapping[str, Any] | None = None, generation: int = 1, **spec: Any) -> api.WorkerPool:
    """A pool `web` in `ns`; keyword arguments are top-level fields of its spec, in camelCase."""
    base: dict[str, Any] = {
        "worker": {"image": "web:1"},
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": "web", "group": "web"}}],
        "scaling": {"cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}},
    }
    return api.parse(
        {
            "metadata": {
                "name": "web",
                "namespace": "ns",
                "uid": "pool-uid",
                "generation": generation,
                "resourceVersion": "1",
            },
            "spec": base | spec,
            "status": dict(status or {}),
        }
    )


def sample(waiting: int, in_flight: int = 0, *, age: float = 0.0) -> Sample:
    return Sample(queue="main", waiting=waiting, in_flight=in_flight, age=age, poll_seconds=1.0)


def memory(**more: Any) -> Memory:
    base = Memory(history=History(since=0.0, active_at=NOW), scale_in=ScaleInMemory(epoch=1))
    return replace(base, **more)


def snapshot(of: api.WorkerPool, **more: Any) -> Snapshot:
    base: dict[str, Any] = {
        "pool": of,
        "facts": ClusterFacts(),
        "deployments": {},
        "revisions": {},
        "budget": None,
        "monitoring": Monitoring(settings=desired.RuleSettings(), absence=Absence.NOT_SERVED),
        "autoscaler": None,
        "collectors": 1,
        "samples": (),
        "memory": memory(),
        "now": NOW,
        "wall_time": WALL,
    }
    return Snapshot(**(base | more))


def child(body: Mapping[str, Any], *, ready: int | None = None, version: int = 7) -> Child:
    """The object as the cluster has it after it was applied, and the Deployment controller has done its work."""
    replicas = body.get("spec", {}).get("replicas", 0)
    status = {"replicas": replicas, "readyReplicas": replicas if ready is None else ready}
    observed = {**body, "status": status} if body["kind"] == "Deployment" else body
    return Child(uid=f"uid-{body['metadata']['name']}", resource_version=str(version), body=observed)


def deployment(of: api.WorkerPool, replicas: int, *, ready: int | None = None) -> dict[str, Child]:
    """The Deployment of the pool's present version, by name."""
    revision = desired.revision_for(of)
    template = desired.stored_template(revision.body)
    body = desired.deployment(of, name=revision.name, template=template, replicas=replicas)
    return {revision.name: child(body, ready=ready)}


def reporting(children: Mapping[str, Child], **status: Any) -> dict[str, Child]:
    """The same Deployments with these fields in their status."""
    return {
        name: replace(one, body={**one.body, "status": {**one.body["status"], **status}})
        for name, one in children.items()
    }


def revision(of: api.WorkerPool) -> dict[str, Child]:
    """The stored revision of the pool's present version, by name."""
    found = desired.revision_for(of)
    return {found.name: child(found.body)}


def settled(of: api.WorkerPool, replicas: int, **more: Any) -> Snapshot:
    """A pool that has all it should have, at this size."""
    budget = child(desired.disruption_budget(of))
    return snapshot(
        of, **({"deployments": deployment(of, replicas), "revisions": revision(of), "budget": budget} | more)
    )


def applied(plan: Plan) -> list[tuple[str, str]]:
    return [(apply.body["kind"], apply.body["metadata"]["name"]) for apply in plan.applies]


def sizes(plan: Plan) -> dict[str, int]:
    return {a.body["metadata"]["name"]: a.body["spec"]["replicas"] for a in plan.applies if _sized(a)}


def deleted(plan: Plan) -> list[tuple[str, str]]:
    return [_named(delete) for delete in plan.deletes]


def _sized(apply: Apply) -> bool:
    return bool(apply.body["kind"] == "Deployment")


def _named(delete: Delete) -> tuple[str, str]:
    return delete.kind, delete.name
