"""`wpool migrate` and `wpool reassign` against a real API server: what is written is what the operator understands."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import of_somebody, wpool
from tests.support.crds import kubectl
from tests.support.pools import pool_body
from workerpool_operator import api
from workerpool_operator import kube as kube_package
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.placement import change_primary, move
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

A, B = {"nodeSelector": {"zone": "a", "disk": "ssd"}}, {"nodeSelector": {"zone": "b"}}


async def made(kube: Kube, namespace: str, **spec: object) -> ObjectRef:
    """The pool, on the server."""
    body = pool_body("thumbs", namespace, **spec)
    del body["metadata"]["uid"]
    await kube.create(body)
    return ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")


async def test_a_pool_is_told_where_it_belongs(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    ref = await made(kube, namespace, placement={"primary": A, "secondary": B})
    await move(access, namespace, "thumbs", to="secondary")
    said = (await kube.get(ref))["metadata"]["annotations"]
    assert said[api.PLACE_ANNOTATION] == "secondary"
    assert datetime.fromisoformat(said[api.PLACE_SAID_ANNOTATION]).tzinfo is not None


@pytest.mark.parametrize("placement", [None, {"primary": A}])
async def test_a_pool_without_a_second_place_is_not_sent_there(
    access: ClusterAccess, kube: Kube, namespace: str, placement: dict[str, object] | None
) -> None:
    ref = await made(kube, namespace, **({"placement": placement} if placement else {}))
    with pytest.raises(TroubleError, match=r"has no secondary place: set spec.placement.secondary"):
        await move(access, namespace, "thumbs", to="secondary")
    assert api.PLACE_ANNOTATION not in (await kube.get(ref))["metadata"].get("annotations", {})


async def test_the_primary_place_is_replaced_and_not_added_to(
    access: ClusterAccess, kube: Kube, namespace: str
) -> None:
    ref = await made(kube, namespace, placement={"primary": A, "secondary": B})
    await change_primary(access, namespace, "thumbs", selector={"zone": "c"})
    placement = api.parse(await kube.get(ref)).spec.placement
    assert placement is not None
    assert placement.primary.node_selector == {"zone": "c"}
    assert placement.secondary is not None


async def test_a_pool_without_places_gets_one(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    ref = await made(kube, namespace)
    await change_primary(access, namespace, "thumbs", selector={"zone": "c"})
    placement = api.parse(await kube.get(ref)).spec.placement
    assert placement is not None
    assert placement.primary.node_selector == {"zone": "c"}


async def test_who_has_moved_to_the_secondary_place_stays_there(
    plane: ControlPlane, kube: Kube, namespace: str, operator: str
) -> None:
    """Another primary place moves nobody then, and it is said what would."""
    ref = await made(kube, namespace, placement={"primary": A, "secondary": B})
    await kube.merge_patch(ref, {"metadata": {"annotations": {api.PLACE_ANNOTATION: "secondary"}}})
    words = ["reassign", "thumbs", "--primary", "zone=c", "-n", namespace]
    dry = await wpool(plane, *words, "--dry-run")
    assert "its workers stay in the secondary one, where they belong now" in dry.stdout
    shown = await wpool(plane, *words, "--yes")
    stay = f"its workers stay in the secondary one, until wpool migrate thumbs --to primary -n {namespace}"
    assert (shown.returncode, stay in shown.stdout) == (0, True), shown.stderr
    assert (await kube.get(ref))["spec"]["placement"]["primary"]["nodeSelector"] == {"zone": "c"}


class Busy(Kube):
    """The operator writes the pool's status after each of the first readings."""

    left = 3

    async def get(self, ref: ObjectRef, **words: Any) -> dict[str, Any]:
        body: dict[str, Any] = await super().get(ref, **words)
        if ref.kind is kinds.WORKER_POOL and Busy.left:
            Busy.left -= 1
            status = {"status": {"replicas": Busy.left}}
            await super().merge_patch(ref, status, subresource="status")
        return body


async def test_the_operators_own_writes_are_not_in_the_way(
    access: ClusterAccess, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is made anew of what is there then."""
    ref = await made(kube, namespace, placement={"primary": A, "secondary": B})
    monkeypatch.setattr(kube_package, "Kube", Busy)
    monkeypatch.setattr(Busy, "left", 3)
    await change_primary(access, namespace, "thumbs", selector={"zone": "c"})
    assert Busy.left == 0
    placement = api.parse(await kube.get(ref)).spec.placement
    assert placement is not None
    assert placement.primary.node_selector == {"zone": "c"}


async def test_labels_that_no_node_has_are_told(
    plane: ControlPlane, kube: Kube, namespace: str, operator: str, tmp_path: Path
) -> None:
    """Before the question, and not in the way: such a node may come. Who may not list nodes is told nothing false."""
    await made(kube, namespace)
    label = {"tests.workerpool.dev/zone": namespace}
    words = ["reassign", "thumbs", "--primary", f"tests.workerpool.dev/zone={namespace}", "--yes", "-n", namespace]
    absent = await wpool(plane, *words)
    told = f"no node has tests.workerpool.dev/zone={namespace} now"
    assert (absent.returncode, told in " ".join(absent.stderr.split())) == (0, True), absent.stderr
    own = of_somebody(plane, namespace, tmp_path, verbs="get,patch", resource="workerpools")
    assert (await wpool(plane, *words, kubeconfig=own)).stderr == ""
    node = ObjectRef(kinds.NODE, "", f"{namespace}-n")
    await kube.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": label}})
    there = await wpool(plane, *words)
    await kube.delete(node)
    assert (there.returncode, there.stderr) == (0, "")


async def test_what_is_to_be_typed_next_can_be_pasted(
    plane: ControlPlane, kube: Kube, namespace: str, operator: str
) -> None:
    """It asks for the same pool of the same cluster."""
    await made(kube, namespace, placement={"primary": A, "secondary": B})
    context = kubectl(plane, "config", "current-context").strip()
    here = ["-n", namespace, "--context", context]
    again = f"wpool get thumbs -n {namespace} --context {context} --watch shows"
    for words in (
        ["migrate", "thumbs", "--to", "primary", "--yes"],
        ["reassign", "thumbs", "--primary", "zone=c", "--yes"],
        ["restart", "thumbs", "--yes"],
        ["start", "thumbs"],
    ):
        assert again in (await wpool(plane, *words, *here)).stdout
    assert f"wpool get thumbs -n {namespace} --watch" in (await wpool(plane, "start", "thumbs", *here[:2])).stdout


async def test_the_servers_refusal_is_passed_on(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    await made(kube, namespace, placement={"primary": A, "secondary": B})
    with pytest.raises(errors.Invalid, match="must be different nodes"):
        await change_primary(access, namespace, "thumbs", selector={"zone": "b"})
