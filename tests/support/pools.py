"""Pools to test with: the smallest one that is valid, changed field by field."""

import copy
from collections.abc import Mapping
from typing import Any, Final

from workerpool_operator.api import WorkerPool, parse

SMALLEST: Final[Mapping[str, Any]] = {
    "apiVersion": "workerpool.dev/v1alpha1",
    "kind": "WorkerPool",
    "metadata": {"name": "thumbs", "namespace": "media", "uid": "11111111-2222-3333-4444-555555555555"},
    "spec": {
        "worker": {"image": "thumbs:1"},
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": "s", "group": "g"}}],
    },
}


def pool_body(name: str = "thumbs", namespace: str = "media", **spec: Any) -> dict[str, Any]:
    """The smallest pool with these parts of `spec` laid over it: mappings are merged, all else is replaced."""
    body: dict[str, Any] = copy.deepcopy(dict(SMALLEST))
    body["metadata"] |= {"name": name, "namespace": namespace}
    body["spec"] = merged(body["spec"], spec)
    return body


def pool(name: str = "thumbs", namespace: str = "media", **spec: Any) -> WorkerPool:
    """The same as the operator reads it."""
    return parse(pool_body(name, namespace, **spec))


def queue(name: str = "main", **fields: Any) -> dict[str, Any]:
    """One entry of `spec.queues`."""
    smallest = {"name": name, "redisStream": {"url": "redis://redis:6379/0", "stream": "s", "group": "g"}}
    return merged(smallest, fields)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, mapping by mapping."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found
