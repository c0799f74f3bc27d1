"""What becomes of a button while a person is asked, waits or has left it, in a real Chromium: `make e2e-ui`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.component.cli.test_drain import annotation, node, worker
from tests.component.ui.test_browser import ROLLOUT, at_pool, holds, make, opened, status
from tests.support.waiting import until
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.ui.guard import Guard
from workerpool_operator.ui.server import served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("crds", "operator"),
    pytest.mark.timeout(300),
]

NEXT = "55aa55aa"


@pytest_asyncio.fixture
async def guard(access: ClusterAccess, namespace: str) -> AsyncIterator[Guard]:
    """The page of one namespace, as administrator."""
    async with served(access, namespace=namespace) as guard:
        yield guard


async def pool_page(browser: Browser, guard: Guard, namespace: str) -> Page:
    page, _ = await opened(browser, guard)
    await at_pool(page, namespace)
    await holds(page, "document.getElementById('link').dataset.state === 'live'")
    return page


async def test_what_is_done_is_what_was_asked_whatever_comes_meanwhile(
    browser: Browser, guard: Guard, kube: Kube, namespace: str
) -> None:
    """A new version comes while the dialog about the one before is open: nothing is done to the new one."""
    ref = await make(kube, namespace, "thumbs", **status(41), rollout=ROLLOUT)
    page = await pool_page(browser, guard, namespace)
    await page.click("#button-abort")
    await page.wait_for_selector("dialog[open]")
    assert "41d7e09c" in await page.inner_text("#ask-text")
    later = {"rollout": {**ROLLOUT, "canary": NEXT, "wanted": NEXT}}
    await kube.merge_patch(ref, {"status": later}, subresource="status")
    await holds(page, f"document.querySelector('#do-abort [name=version]').value === '{NEXT}'")
    await page.click("#ask-yes")
    await holds(page, f"document.getElementById('said').textContent.includes('is at version {NEXT} by now')")
    assert COMMAND_ANNOTATION not in (await kube.get(ref))["metadata"].get("annotations", {})


async def test_who_presses_a_button_that_goes_is_not_sent_to_the_top(
    browser: Browser, guard: Guard, kube: Kube, namespace: str
) -> None:
    """By the keyboard: Stop is Start afterwards. The focus is at what was said of it, and Tab goes on there."""
    await make(kube, namespace, "thumbs", **status(41))
    page = await pool_page(browser, guard, namespace)
    await page.focus("#button-stop")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("dialog[open]")
    await page.focus("#ask-yes")
    await page.keyboard.press("Enter")
    await holds(page, "document.getElementById('said').textContent === 'Stop: done.'")
    await page.wait_for_selector("#button-start")
    await holds(page, "document.activeElement.id === 'said'")
    await page.focus("#button-start")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#button-stop")
    await holds(page, "document.activeElement.id === 'said'")


async def test_an_answer_that_comes_late_takes_the_focus_from_nobody(
    browser: Browser, guard: Guard, kube: Kube, namespace: str
) -> None:
    """Somebody types into another field by then: the operator has half a minute to answer."""
    ref = await make(kube, namespace, "thumbs", **status(41), rollout=ROLLOUT)
    page = await pool_page(browser, guard, namespace)
    await page.click("#button-pause")
    await holds(page, "document.getElementById('said').textContent.includes('Pause rollout …')")
    await page.focus("input[name=rate]")

    async def command() -> bool:
        return COMMAND_ANNOTATION in (await kube.get(ref))["metadata"].get("annotations", {})

    await until(command, what="the command")
    said = (await kube.get(ref))["metadata"]["annotations"][COMMAND_ANNOTATION]
    answer = {"rollout": {**ROLLOUT, "commandId": said.partition("#")[2]}}
    await kube.merge_patch(ref, {"status": answer}, subresource="status")
    await holds(page, "document.getElementById('said').textContent === 'Pause rollout: done.'")
    assert await page.evaluate("document.activeElement.name") == "rate"


async def test_the_list_of_workers_stays_as_it_is_while_nobody_comes_or_goes(
    browser: Browser, guard: Guard, kube: Kube, namespace: str
) -> None:
    """Also with a worker chosen that is gone: a list that is made anew closes under the hand."""
    ref = await make(kube, namespace, "thumbs", **status(41))
    metadata = {"name": "thumbs-1", "namespace": namespace, "labels": {POOL_LABEL: "thumbs"}}
    spec = {"containers": [{"name": "worker", "image": "worker:1"}]}
    await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    page = await pool_page(browser, guard, namespace)
    await page.select_option("#log-of", "thumbs-1")
    await kube.delete(ObjectRef(kinds.POD, namespace, "thumbs-1"), grace_seconds=0)
    await page.wait_for_selector("#pods [data-pod]", state="detached")
    await page.evaluate("() => { document.querySelector('#log-of').options[2].known = true; }")
    await kube.merge_patch(ref, {"status": {"scaling": {"depth": 77}}}, subresource="status")
    await holds(page, "document.getElementById('now-depth').textContent.includes('77')")
    assert await page.evaluate("document.querySelector('#log-of').options[2].known === true")


async def test_a_node_is_drained_only_after_a_yes_to_what_the_cluster_says_of_it(
    browser: Browser, guard: Guard, kube: Kube, namespace: str
) -> None:
    """The server asks, as only it can count who is on the node; a no writes nothing."""
    ref = await make(kube, namespace, "thumbs", **status(41))
    place = await node(kube, f"n-{namespace}")
    await worker(kube, namespace, "thumbs-1", on=place.name)
    page = await pool_page(browser, guard, namespace)
    await page.select_option("#do-drain-node select", place.name)
    await page.click("#button-drain-node")
    await page.wait_for_selector("dialog[open]")
    asked = f"Cordon {place.name}, and have these leave it: {namespace}/thumbs 1?"
    assert await page.inner_text("#ask-text") == asked
    await page.click("#ask button[value=no]")
    await holds(page, "document.getElementById('said').textContent === 'Nothing was done.'")
    assert "unschedulable" not in (await kube.get(place)).get("spec", {})
    await page.click("#button-drain-node")
    await page.wait_for_selector("dialog[open]")
    await page.click("#ask-yes")
    await holds(page, "document.getElementById('said').textContent.includes('these leave')")
    assert place.name in await annotation(kube, ref)
    await holds(page, f"document.getElementById('head').textContent.includes('Workers leave {place.name}')")
    await page.click("#button-end-drain")
    await page.wait_for_selector("#button-end-drain", state="detached")
    assert await annotation(kube, ref) == ""
