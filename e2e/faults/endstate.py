"""What a namespace has come to, in a form in which two runs can be compared.

Left out is what differs from run to run and means nothing: uids, versions, times, addresses, generated suffixes, and
figures of the status that are written only now and then.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from e2e.faults.kubelet import is_ready
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import Kube, kinds
from workerpool_operator.kube.kinds import Kind

Json = dict[str, Any]

_KINDS = (
    kinds.WORKER_POOL,
    kinds.CONTROLLER_REVISION,
    kinds.DEPLOYMENT,
    Kind("apps", "v1", "replicasets", "ReplicaSet"),
    kinds.POD,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE_BINDING,
    kinds.CONFIG_MAP,
    kinds.SERVICE,
    kinds.NETWORK_POLICY,
)
_KUBERNETES_OWN = frozenset({("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")})
_GIVEN_BY_SERVER = frozenset({"clusterIP", "clusterIPs"})
_NAMED_AT_RANDOM = frozenset({"Pod", "ReplicaSet"})
_DEPLOYMENT_CONTROLLERS = "deployment.kubernetes.io/"
_HASH_LABEL = "pod-template-hash"


async def end_state(kube: Kube, namespace: str, *, hidden: Mapping[str, str]) -> list[str]:
    """Every object of the namespace that anyone but Kubernetes itself caused, one comparable line each, sorted.

    `hidden`: texts that belong to this run alone, with what to put in their place.
    """
    lines: list[str] = []
    for kind in _KINDS:
        bodies = await kube.list(kind, namespace=namespace).all()
        lines += [_line(kind, body) for body in bodies if (kind.kind, body["metadata"]["name"]) not in _KUBERNETES_OWN]
    for text, instead in hidden.items():
        lines = [line.replace(text, instead) for line in lines]
    return sorted(lines)


def difference(wanted: Iterable[str], found: Iterable[str]) -> str:
    """What one state has and the other has not, for a person to read; empty when they are the same."""
    missing, extra = Counter(wanted), Counter(found)
    missing, extra = missing - extra, extra - missing
    told = []
    for line in missing.elements():
        other = next((one for one in extra if _title(one) == _title(line)), None)
        if other is None:
            told.append(f"{_title(line)} is missing")
            continue
        extra -= Counter([other])
        told += [f"{_title(line)}{change}" for change in _changes(json.loads(line), json.loads(other))]
    return "\n".join([*told, *(f"{_title(line)} is left over" for line in extra.elements())])


def _title(line: str) -> str:
    one = json.loads(line)
    of = "".join(f" of {name}" for _, name, _ in one.get("owners", ()) if name and not one["name"])
    return f"{one['kind']} {one['name']}".rstrip() + of


def _changes(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in wanted.keys() | found.keys():
            yield from _changes(wanted.get(key), found.get(key), f"{path}.{key}")
    elif wanted != found:
        yield f"{path}: {json.dumps(found)} instead of {json.dumps(wanted)}"


def is_settled(state: Sequence[str], sizes: Mapping[str, int], *, trying: bool = False) -> bool:
    """Whether exactly these pools are there, each at rest at its size in one version, and nothing of any other.

    `trying`: in two versions instead, of which one is a canary.
    """
    objects = [json.loads(line) for line in state]
    pools = {one["name"]: one["status"] for one in objects if one["kind"] == "WorkerPool"}
    return (
        pools.keys() == sizes.keys()
        and set(owners(state)) <= sizes.keys()
        and not any(one["deleting"] for one in objects)
        and all(_at_rest(pools[name], size=size, trying=trying) for name, size in sizes.items())
    )


def owners(state: Iterable[str]) -> list[str]:
    """For each object that belongs to a pool, that pool's name."""
    labels = (json.loads(line)["labels"] for line in state)
    return [each[POOL_LABEL] for each in labels if POOL_LABEL in each]


def _at_rest(status: Json, *, size: int, trying: bool) -> bool:
    conditions = {name: told for name, told, *_ in status["conditions"]}
    wanted = {"Stalled": "False"} if trying else {"Ready": "True", "Progressing": "False", "Stalled": "False"}
    return (
        status["current"]
        and status["sizes"] == [size, size]
        and status["desired"] == size
        and len(status["versions"]) == (2 if trying else 1)
        and wanted.items() <= conditions.items()
    )


def _line(kind: Kind, body: Json) -> str:
    metadata = body["metadata"]
    comparable = {
        "kind": kind.kind,
        "name": "" if kind.kind in _NAMED_AT_RANDOM else metadata["name"],
        "labels": {name: value for name, value in metadata.get("labels", {}).items() if name != _HASH_LABEL},
        "annotations": {
            name: value
            for name, value in metadata.get("annotations", {}).items()
            if not name.startswith(_DEPLOYMENT_CONTROLLERS)
        },
        "owners": _owners(kind, metadata),
        "deleting": "deletionTimestamp" in metadata,
        "status": _status(kind, body),
        **({} if kind.kind in _NAMED_AT_RANDOM else _content(body)),
    }
    return json.dumps(comparable, sort_keys=True)


def _owners(kind: Kind, metadata: Json) -> list[list[Any]]:
    named = kind.kind != "Pod"
    owners = metadata.get("ownerReferences", [])
    return sorted([one["kind"], one["name"] if named else "", one.get("controller", False)] for one in owners)


def _content(body: Json) -> Json:
    content = {name: body[name] for name in ("data", "roleRef", "subjects") if name in body}
    spec = {name: value for name, value in body.get("spec", {}).items() if name not in _GIVEN_BY_SERVER}
    return content | {"spec": spec}


def _status(kind: Kind, body: Json) -> Json:
    status = body.get("status", {})
    match kind.kind:
        case "Pod":
            return {"ready": is_ready(body)}
        case "Deployment" | "ReplicaSet":
            return {name: status.get(name, 0) for name in ("replicas", "readyReplicas")}
        case "WorkerPool":
            return _pool_status(status, generation=body["metadata"]["generation"])
    return {}


def _pool_status(status: Json, *, generation: int) -> Json:
    return {
        "current": status.get("observedGeneration") == generation,
        "sizes": [status.get(name, 0) for name in ("replicas", "readyReplicas")],
        "desired": status.get("scaling", {}).get("desired"),
        "versions": [
            [one.get(name) for name in ("hash", "revision", "role", "replicas", "readyReplicas")]
            for one in status.get("versions", [])
        ],
        "conditions": [
            [one["type"], one["status"], one["reason"], one["observedGeneration"] == generation]
            for one in status.get("conditions", [])
        ],
    }
