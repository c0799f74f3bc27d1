"""Places on the page, served for a real API server: what is shown, and what its buttons write."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.page import Page
from tests.support.pools import pool_body
from workerpool_operator.domain.desired import PLACE_LABEL, POOL_LABEL, place_key
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.ui.server import served

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

A, B = {"zone": "a"}, {"zone": "b"}
BOTH = {"primary": {"nodeSelector": A}, "secondary": {"nodeSelector": B}}
PLACE = "workerpool.dev/place"


@pytest_asyncio.fixture
async def page(access: ClusterAccess) -> AsyncIterator[Page]:
    """As administrator."""
    async with served(access) as guard, Page(guard) as page:
        yield page


async def made(kube: Kube, namespace: str, **spec: Any) -> ObjectRef:
    await kube.create(pool_body("thumbs", namespace, **spec))
    return ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")


async def test_what_is_failed_over_and_since_when(page: Page, kube: Kube, namespace: str) -> None:
    """With the workers of each place, as their pods say."""
    ref = await made(kube, namespace, placement=BOTH)
    live = f"live/pool/{namespace}/thumbs"
    assert "zone=b" in await page.until(live, text="zone=a", within="placement")
    for number, selector in enumerate((A, A, B)):
        labels = {POOL_LABEL: "thumbs", PLACE_LABEL: place_key(selector)}
        metadata = {"name": f"thumbs-{number}", "namespace": namespace, "labels": labels}
        spec = {"containers": [{"name": "worker", "image": "worker:1"}]}
        await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    condition = {
        "type": "Placed",
        "status": "False",
        "reason": "FailedOver",
        "message": "2 workers of the primary place are lost (there is no room for them)",
        "lastTransitionTime": "2030-01-31T12:00:00Z",
        "observedGeneration": 1,
    }
    status = {"active": "secondary", "since": "2030-01-31T12:00:00Z", "lost": 2}
    after = {"status": {"placement": status, "conditions": [condition]}}
    await kube.merge_patch(ref, after, subresource="status")
    shown = await page.until(live, text="made up for in the secondary place", within="placement")
    assert "2030-01-31 12:00:00 UTC" in shown
    assert "there is no room for them" in shown
    await page.until(live, text=">0/2<", within="placement")  # before that the primary place has one as well
    assert ">0/2<" in await page.until(live, text=">0/1<", within="placement")


@pytest.mark.usefixtures("operator")
async def test_a_pool_without_places_says_so(page: Page, kube: Kube, namespace: str) -> None:
    """It can be given one."""
    ref = await made(kube, namespace)
    name = f"{namespace}/thumbs"
    await page.until(f"live/pool/{name}", text="names no places", within="placement")
    assert (await page.press(name, "migrate-secondary"))[0] == 409
    told = "Reassign: done. But no node has disk=ssd, zone=a now: workers get no place there before one has."
    assert await page.press(name, "reassign", primary="zone=a, disk=ssd") == (200, told)
    placement = (await kube.get(ref))["spec"]["placement"]
    assert placement["primary"]["nodeSelector"] == {"zone": "a", "disk": "ssd"}


@pytest.mark.usefixtures("operator")
async def test_migrate_and_reassign_write_what_the_commands_write(page: Page, kube: Kube, namespace: str) -> None:
    """A press that comes late, for where the workers belong already, does nothing; what is refused is said."""
    ref = await made(kube, namespace, placement=BOTH)
    name = f"{namespace}/thumbs"
    html = await page.until(f"live/pool/{name}", text="Migrate to secondary", within="actions")
    assert 'data-confirm="Move the workers of thumbs to the secondary place?' in html
    assert (await page.press(name, "migrate-primary"))[0] == 409
    assert await page.press(name, "migrate-secondary") == (200, "Migrate to secondary: done.")
    assert (await kube.get(ref))["metadata"]["annotations"][PLACE] == "secondary"
    assert (await page.press(name, "migrate-secondary"))[0] == 409
    assert (await page.press(name, "migrate-primary"))[0] == 200
    assert (await kube.get(ref))["metadata"]["annotations"][PLACE] == "primary"
    assert (await page.press(name, "reassign", primary="zone=c"))[0] == 200
    assert (await kube.get(ref))["spec"]["placement"]["primary"]["nodeSelector"] == {"zone": "c"}
    for said in ("", "zone", "zone=a=b", "=a", "a=b,a=c"):
        status, message = await page.press(name, "reassign", primary=said)
        assert (status, message.startswith("Say which nodes:")) == (422, True), said
    status, message = await page.press(name, "reassign", primary="zone=b")
    assert status == 422
    assert "must be different nodes" in message
