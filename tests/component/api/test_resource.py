"""The resource as kubectl shows it, and its subresources, on a real API server."""

import json
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import KubectlError, kubectl
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.api import WorkerPoolStatus, parse
from workerpool_operator.api.crd import root_schema
from workerpool_operator.kube import Kube, kinds
from workerpool_operator.kube.kinds import ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "replicas": 3,
    "readyReplicas": 2,
    "selector": "workerpool.dev/pool=thumbs",
    "scaling": {"desired": 4, "mode": "direct", "depth": 70},
    "versions": [
        {"hash": "0ld0ld00", "revision": "00aa11", "role": "draining"},
        {"hash": "0011aabb", "revision": "00aa11", "role": "stable"},
    ],
    "rollout": {"stable": "0011aabb", "canary": "0022ccdd"},
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "observedGeneration": 1,
            "lastTransitionTime": "2025-01-02T03:04:05Z",
            "reason": "WorkersStarting",
            "message": "",
        }
    ],
}


async def created(kube: Kube, namespace: str, **spec: Any) -> ObjectRef:
    body = pool_body(namespace=namespace, **spec)
    del body["metadata"]["uid"]
    await kube.create(body)
    return ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")


def paths(schema: dict[str, Any], path: str = "") -> dict[str, str]:
    """Every field's path and description."""
    found: dict[str, str] = {}
    for name, child in schema.get("properties", {}).items():
        found[f"{path}.{name}"] = child.get("description", "")
        found |= paths(child, f"{path}.{name}") | paths(child.get("items", {}), f"{path}.{name}")
    return found


async def test_explain_has_every_field(plane: ControlPlane) -> None:
    shown: list[str] = []

    def served() -> bool:
        # The API server publishes a new kind's documentation some seconds after it serves the kind.
        try:
            shown.append(kubectl(plane, "explain", "wpool.spec", "--recursive"))
        except KubectlError:
            return False
        return "redisStream" in shown[-1]

    await until(served, seconds=60, what="the documentation of the kind")
    fields = {line.split()[0] for line in shown[-1].splitlines() if "<" in line}
    assert fields >= {path.rsplit(".", 1)[1] for path in paths(root_schema()["properties"]["spec"])}


@pytest.mark.parametrize(
    "path",
    [
        "spec.worker.env.valueFrom",
        "spec.worker.volumes",
        "spec.worker.affinity.podAffinity",
        "spec.queues.credentials",
        "status.scaling",
    ],
)
async def test_explain_has_a_text_for_nested_fields(plane: ControlPlane, path: str) -> None:
    texts: list[str] = []

    def served() -> bool:
        try:
            texts.append(" ".join(kubectl(plane, "explain", f"wpool.{path}").split()))
        except KubectlError:
            return False
        return True

    await until(served, seconds=60, what="the documentation of the kind")
    below = {name: text for name, text in paths(root_schema()).items() if name.rpartition(".")[0] == f".{path}"}
    assert below
    for text in below.values():
        assert text in texts[-1]


async def test_the_short_name_and_the_category_find_pools(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    await created(kube, namespace)
    for word in ("wpool", "workerpools"):
        assert "thumbs" in kubectl(plane, "get", word, "--namespace", namespace)


async def test_the_columns_show_the_state(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    ref = await created(kube, namespace)
    await kube.merge_patch(ref, {"status": STATUS}, subresource="status")
    head, row = kubectl(plane, "get", "wpool", "--namespace", namespace, "-o", "wide").splitlines()
    shown = dict(zip(head.split(), row.split(), strict=True))
    assert shown.pop("AGE")
    assert shown == {
        "NAME": "thumbs",
        "READY": "False",
        "REPLICAS": "3",
        "DESIRED": "4",
        "DEPTH": "70",
        "VERSION": "0011aabb",
        "CANARY": "0022ccdd",
        "MODE": "direct",
        "REASON": "WorkersStarting",
    }


async def test_the_scale_subresource_reads_and_writes_the_size(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    ref = await created(kube, namespace)
    await kube.merge_patch(ref, {"status": STATUS}, subresource="status")
    path = f"/apis/workerpool.dev/v1alpha1/namespaces/{namespace}/workerpools/thumbs/scale"
    scale = json.loads(kubectl(plane, "get", "--raw", path))
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 3, "selector": "workerpool.dev/pool=thumbs"}
    kubectl(plane, "scale", "wpool/thumbs", "--namespace", namespace, "--replicas=6")
    assert parse(await kube.get(ref)).spec.replicas == 6


async def test_a_status_write_changes_neither_spec_nor_generation(kube: Kube, namespace: str) -> None:
    ref = await created(kube, namespace)
    before = await kube.get(ref)
    after = await kube.merge_patch(ref, {"spec": {"replicas": 9}, "status": STATUS}, subresource="status")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_a_status_comes_back_as_it_was_written(kube: Kube, namespace: str) -> None:
    ref = await created(kube, namespace)
    status = WorkerPoolStatus.model_validate(STATUS)
    await kube.merge_patch(ref, {"status": status.to_json()}, subresource="status")
    assert parse(await kube.get(ref)).status == status


async def test_what_the_server_fills_in_is_what_the_models_take_for_granted(kube: Kube, namespace: str) -> None:
    stored = await kube.get(await created(kube, namespace))
    assert parse(stored).spec == parse(pool_body()).spec
    assert stored["spec"]["scaling"]["maxReplicas"] == 50


async def test_apply_merges_queues_by_name(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    ref = await created(kube, namespace)
    second = pool_body(namespace=namespace)
    del second["metadata"]["uid"]
    second["spec"] = {"queues": [second["spec"]["queues"][0] | {"name": "other"}]}
    kubectl(plane, "apply", "--server-side", "--field-manager=team", "-f", "-", stdin=json.dumps(second))
    assert [queue.name for queue in parse(await kube.get(ref)).spec.queues] == ["main", "other"]
