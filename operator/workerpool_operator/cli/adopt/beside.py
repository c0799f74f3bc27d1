"""From a Deployment's sidecar containers to those of a pool: pure.

Kubernetes' own are init containers that are started again whenever they end. Other containers beside the worker are
left out: they would end in another order than they did.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias

from workerpool_operator.api import CONTRACT_ENV, CONTRACT_ENV_PREFIXES

Json: TypeAlias = dict[str, Any]
FIELDS: Final = ("name", "image", "command", "args", "env", "envFrom", "resources", "volumeMounts")
"""Of a container: those that a pool's sidecar has too."""
_UNUSED: Final = frozenset(
    {"restartPolicy", "ports", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"}
)


def sidecars(pod: Json) -> list[Json]:
    """Kubernetes' own sidecar containers."""
    return [one for one in pod.get("initContainers") or () if one.get("restartPolicy") == "Always"]


def taken_over(pod: Json, *, volumes: Collection[str]) -> list[Json]:
    """`spec.worker.sidecars`. `volumes`: names of those that the pool has."""
    return [_sidecar(one, volumes) for one in sidecars(pod)]


def without_defaults(made: list[Json], *, of: list[Json]) -> list[Json]:
    """Sidecars as the model writes them, with the fields that they were made `of`."""
    return [{key: one[key] for key in given if key in one} for one, given in zip(made, of, strict=True)]


def unknown(pod: Json, main: Json, *, safe: Mapping[str, Any]) -> Iterator[str]:
    """What of the init containers a pool does not take over. `safe`: settings that hold for all containers anyway."""
    user = (main.get("securityContext") or {}).get("runAsUser", (pod.get("securityContext") or {}).get("runAsUser"))
    for one in pod.get("initContainers") or ():
        name = f"init container {one['name']}"
        if one.get("restartPolicy") != "Always":
            yield name
            continue
        for key, value in one.items():
            if key not in {*FIELDS, *_UNUSED, "securityContext"} and value not in (None, [], {}):
                yield f"{name}: {key}"
        if one.get("imagePullPolicy", main.get("imagePullPolicy")) != main.get("imagePullPolicy"):
            yield f"{name}: imagePullPolicy (it is the worker's)"
        yield from (f"{name}: env {each['name']} (reserved)" for each in one.get("env", ()) if _reserved(each))
        for key, value in (one.get("securityContext") or {}).items():
            same = {**safe, "runAsUser": user}.get(key)
            if value != same:
                yield f"{name}: securityContext.{key}"


def _sidecar(container: Json, volumes: Collection[str]) -> Json:
    found = {key: container[key] for key in FIELDS if container.get(key)}
    for key, kept in (
        ("env", [one for one in container.get("env", ()) if not _reserved(one)]),
        ("volumeMounts", [one for one in container.get("volumeMounts", ()) if one["name"] in volumes]),
    ):
        found = {name: value for name, value in found.items() if name != key} | ({key: kept} if kept else {})
    return found


def _reserved(variable: Json) -> bool:
    name = str(variable["name"])
    return name in CONTRACT_ENV or name.startswith(CONTRACT_ENV_PREFIXES)
