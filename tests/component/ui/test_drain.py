"""A node is drained by the page, served for a real API server; the operator, which has the workers leave, is played."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import until_allowed
from tests.component.cli.test_drain import annotation, node, worker
from tests.support.crds import kubectl
from tests.support.page import Page
from tests.support.pools import pool_body
from workerpool_operator.domain.scaling import DRAIN, overrides
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.ui.server import served

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

OTHER = "n7@2026-01-01T00:00:00+00:00/2036-01-01T00:00:00+00:00"


@pytest_asyncio.fixture
async def page(access: ClusterAccess) -> AsyncIterator[Page]:
    """As administrator."""
    async with served(access) as guard, Page(guard) as page:
        yield page


@pytest_asyncio.fixture
async def limited(plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Page]:
    """Of somebody who may change one of the pools, and no node."""
    pools = {"apiGroups": ["workerpool.dev"], "resources": ["workerpools"]}
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        {**pools, "verbs": ["get", "list", "watch"]},
        {**pools, "verbs": ["patch"], "resourceNames": ["thumbs"]},
    ]
    allow(plane, namespace, rules)
    until_allowed(plane, namespace, verb="list", resource="pods")
    plane.write_kubeconfig(tmp_path / "few", user=namespace)
    async with served(await ClusterAccess.find(tmp_path / "few")) as guard, Page(guard) as page:
        yield page


@pytest_asyncio.fixture
async def pools(kube: Kube, namespace: str) -> tuple[ObjectRef, ObjectRef]:
    """Two, of which the first is looked at."""
    for name in ("thumbs", "mail"):
        await kube.create(pool_body(name, namespace))
    return ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"), ObjectRef(kinds.WORKER_POOL, namespace, "mail")


@pytest_asyncio.fixture
async def there(kube: Kube, namespace: str) -> ObjectRef:
    """A node with two workers of the one and a worker of the other."""
    ref = await node(kube, f"n-{namespace}")
    for name in ("a", "b"):
        await worker(kube, namespace, name, on=ref.name)
    await worker(kube, namespace, "c", on=ref.name, pool="mail")
    return ref


async def cordoned(kube: Kube, ref: ObjectRef) -> bool:
    return bool((await kube.get(ref))["spec"].get("unschedulable"))


@pytest.mark.usefixtures("operator")
async def test_it_asks_what_the_command_asks_and_writes_an_order_with_an_end(
    page: Page, kube: Kube, namespace: str, pools: tuple[ObjectRef, ObjectRef], there: ObjectRef
) -> None:
    """The answer does not wait for the workers; orders about other nodes stay, and the other pool is left alone."""
    thumbs, mail = pools
    await kube.merge_patch(thumbs, {"metadata": {"annotations": {DRAIN: OTHER}}})
    name, live = f"{namespace}/thumbs", f"live/pool/{namespace}/thumbs"
    assert f'value="{there.name}"' in await page.until(live, text=there.name, within="actions")
    asked = f"Cordon {there.name}, and have these leave it: {namespace}/thumbs 2?"
    assert await page.press(name, "drain-node", node=there.name, minutes="30") == (428, asked)
    assert not await cordoned(kube, there)
    status, said = await page.press(name, "drain-node", node=there.name, minutes="30", sure=asked)
    assert status == 200, said
    assert f"`wpool drain --node {there.name}`" in said
    assert await cordoned(kube, there)
    other, drain = overrides({DRAIN: await annotation(kube, thumbs)}).drains
    assert (str(other), drain.node) == (OTHER, there.name)
    assert timedelta(minutes=29) < drain.until - datetime.now(UTC) <= timedelta(minutes=30)
    created = (await kube.get(ObjectRef(kinds.POD, namespace, "b")))["metadata"]["creationTimestamp"]
    assert drain.begun > datetime.fromisoformat(created), "who comes before the scheduler knows is meant too"
    assert await annotation(kube, mail) == ""
    await page.until(live, text=f"Workers leave {there.name} until", within="head")


@pytest.mark.usefixtures("operator")
async def test_it_can_be_ended_before_its_end(
    page: Page, kube: Kube, namespace: str, pools: tuple[ObjectRef, ObjectRef], there: ObjectRef
) -> None:
    """The node stays cordoned, as after the command; there is no such button before."""
    name = f"{namespace}/thumbs"
    assert (await page.press(name, "end-drain"))[0] == 409
    fields = {"node": there.name, "minutes": "30"}
    _, asked = await page.press(name, "drain-node", **fields)
    await page.press(name, "drain-node", **fields, sure=asked)
    assert await page.press(name, "end-drain") == (200, "End drain: done.")
    assert await annotation(kube, pools[0]) == ""
    assert await cordoned(kube, there)


@pytest.mark.usefixtures("operator")
async def test_the_workers_of_all_pools_leave_where_that_is_asked_for(
    page: Page, kube: Kube, namespace: str, pools: tuple[ObjectRef, ObjectRef], there: ObjectRef
) -> None:
    """Who has agreed to something else is asked again."""
    name, fields = f"{namespace}/thumbs", {"node": there.name, "minutes": "30", "all": "yes"}
    both = f"Cordon {there.name}, and have these leave it: {namespace}/mail 1, {namespace}/thumbs 2?"
    one = f"Cordon {there.name}, and have these leave it: {namespace}/thumbs 2?"
    assert await page.press(name, "drain-node", **fields, sure=one) == (428, both)
    assert not await cordoned(kube, there)
    assert (await page.press(name, "drain-node", **fields, sure=both))[0] == 200
    for pool in pools:
        assert there.name in await annotation(kube, pool)


@pytest.mark.usefixtures("operator")
async def test_a_node_without_workers_is_cordoned(
    page: Page, kube: Kube, namespace: str, pools: tuple[ObjectRef, ObjectRef]
) -> None:
    empty = await node(kube, f"n-{namespace}")
    fields = {"node": empty.name, "minutes": "1"}
    status, asked = await page.press(f"{namespace}/thumbs", "drain-node", **fields)
    assert (status, "No worker is there" in asked) == (428, True)
    status, said = await page.press(f"{namespace}/thumbs", "drain-node", **fields, sure=asked)
    assert (status, "nothing was to be moved" in said) == (200, True)
    assert await cordoned(kube, empty)
    assert await annotation(kube, pools[0]) == ""


@pytest.mark.usefixtures("pools", "operator")
async def test_what_makes_no_sense_is_refused(page: Page, namespace: str, there: ObjectRef) -> None:
    name = f"{namespace}/thumbs"
    status, said = await page.press(name, "drain-node", node="no/such", minutes="10")
    assert (status, "there is no node no/such" in said) == (422, True)
    assert await page.press(name, "drain-node", node=" ", minutes="10") == (422, "Say which node.")
    for minutes in ("", "0", "nan", "1441"):
        status, said = await page.press(name, "drain-node", node=there.name, minutes=minutes)
        assert (status, "Say how many minutes" in said) == (422, True), minutes


@pytest.mark.usefixtures("pools", "nobody")
async def test_without_an_operator_nothing_is_done(page: Page, kube: Kube, namespace: str, there: ObjectRef) -> None:
    """A node that is cordoned for nobody would be a loss."""
    name, fields = f"{namespace}/thumbs", {"node": there.name, "minutes": "10"}
    _, asked = await page.press(name, "drain-node", **fields)
    status, said = await page.press(name, "drain-node", **fields, sure=asked)
    assert (status, "nothing was done" in said) == (503, True)
    assert not await cordoned(kube, there)


@pytest.mark.usefixtures("operator")
async def test_with_the_users_own_rights(
    limited: Page, kube: Kube, namespace: str, pools: tuple[ObjectRef, ObjectRef], there: ObjectRef
) -> None:
    """Who may change one pool only gets no half: what was written for that one is taken back."""
    name, fields = f"{namespace}/thumbs", {"node": there.name, "minutes": "10", "all": "yes"}
    _, asked = await limited.press(name, "drain-node", **fields)
    status, said = await limited.press(name, "drain-node", **fields, sure=asked)
    assert (status, "you may not cordon" in said) == (422, True)
    await kube.merge_patch(there, {"spec": {"unschedulable": True}})
    status, said = await limited.press(name, "drain-node", **fields, sure=asked)
    assert status == 422
    assert 'cannot patch resource "workerpools"' in said
    assert f"{there.name} stays cordoned" in said
    assert [await annotation(kube, pool) for pool in pools] == ["", ""]


def allow(plane: ControlPlane, user: str, rules: list[dict[str, Any]]) -> None:
    """Everywhere: nodes are in no namespace."""
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    for body in (
        kind | {"kind": "ClusterRole", "rules": rules},
        kind | {"kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]},
    ):
        kubectl(plane, "apply", "-f", "-", stdin=json.dumps(body))
