"""`wpool migrate` and `wpool reassign` against a real API server: what is written is what the operator understands."""

import pytest

from tests.support.pools import pool_body
from workerpool_operator import api
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
    assert (await kube.get(ref))["metadata"]["annotations"][api.PLACE_ANNOTATION] == "secondary"


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


async def test_the_servers_refusal_is_passed_on(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    await made(kube, namespace, placement={"primary": A, "secondary": B})
    with pytest.raises(errors.Invalid, match="must be different nodes"):
        await change_primary(access, namespace, "thumbs", selector={"zone": "b"})
