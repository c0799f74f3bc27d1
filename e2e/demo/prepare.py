"""The stage: cluster, operator, namespace, Redis, pool."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from e2e.cluster import Provider
from e2e.cluster.progress import Step
from e2e.support import pools, redis
from e2e.support.images import ROOT
from e2e.support.kubectl import Json
from e2e.support.stack import Stack, create_namespace

NAMESPACE = "workerpool-demo"
POOL = "demo"
STREAM = "demo"
MANIFEST = ROOT / "examples" / "demo-pool.yaml"
FOUND = "demo.workerpool.dev/found"
"""Annotation of the demo's namespace: what was there before, and is left there by `make demo-down`."""
_READY_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everything that the demo needs, up and ready."""

    stack: Stack
    redis: redis.Redis


def prepare(*, provider: Provider, name: str | None) -> Stage:
    """Bring everything up, telling progress on stderr.

    Raises:
        ClusterError: the cluster, an image or the operator could not be had.
        KubectlError: the API server refused something.
        NotInTimeError: the pool did not become ready.
    """
    stack = Stack.ensure(provider=provider, name=name)
    kubectl = stack.kubectl
    with Step(f"making namespace {NAMESPACE} with Redis and pool {POOL}"):
        found = _found(stack)
        kubectl.delete("namespace", NAMESPACE)
        create_namespace(kubectl, NAMESPACE, annotations={FOUND: found})
        broker = redis.deploy(kubectl, NAMESPACE, image=stack.images.redis)
        kubectl.apply(manifest(image=stack.images.worker))
        pools.wait_watched(kubectl, NAMESPACE, POOL, seconds=_READY_SECONDS)
    return Stage(stack=stack, redis=broker)


def manifest(*, image: str) -> Json:
    """Give the pool of the example, in the demo's namespace and with this image."""
    pool: Json = yaml.safe_load(MANIFEST.read_text())
    pool["metadata"]["namespace"] = NAMESPACE
    pool["spec"]["worker"]["image"] = image
    return pool


def _found(stack: Stack) -> str:
    """Tell what was there before this demo, or before an earlier one that is still up."""
    earlier = stack.kubectl.get("namespace", NAMESPACE)
    if earlier:
        return str(earlier["metadata"].get("annotations", {}).get(FOUND, ""))
    things = (("cluster", stack.created_cluster), ("operator", stack.created_release))
    return ",".join(thing for thing, created in things if not created)
