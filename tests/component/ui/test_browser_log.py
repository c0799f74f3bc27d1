"""The log on the page, and the file that leads to the page, in a real Chromium: `make e2e-ui`."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from e2e.cluster.controlplane import ControlPlane
from tests.component.ui.test_browser import at_pool, holds, make, opened
from tests.support.kubelet import PlayedKubelet, played_kubelet
from workerpool_operator.kube import ClusterAccess, Kube
from workerpool_operator.ui.browse import written
from workerpool_operator.ui.guard import Guard
from workerpool_operator.ui.server import served

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("crds"), pytest.mark.timeout(300)]

HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">"


@pytest_asyncio.fixture
async def guard(access: ClusterAccess, namespace: str) -> AsyncIterator[Guard]:
    """The page of one namespace, as administrator."""
    async with served(access, namespace=namespace) as guard:
        yield guard


@pytest_asyncio.fixture
async def kubelet(plane: ControlPlane, kube: Kube, namespace: str) -> AsyncIterator[PlayedKubelet]:
    """A pool with two workers that have written a line each."""
    await make(kube, namespace, "thumbs")
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        for pod in ("thumbs-a", "thumbs-b"):
            await kubelet.start_pod(namespace, pod)
            await kubelet.write(pod, f"first of {pod}")
        yield kubelet
        for pod in ("thumbs-a", "thumbs-b"):
            await kubelet.end_pod(namespace, pod)


async def shown(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(
        "[...document.getElementById('log').children].map((line) => line.textContent)"
    )
    return found


async def comes(page: Page, line: str) -> None:
    await holds(page, f"document.getElementById('log').textContent.includes({line!r})")


async def test_the_log_of_all_workers_goes_on_with_new_ones_and_repeats_nothing(
    browser: Browser, guard: Guard, kubelet: PlayedKubelet, namespace: str
) -> None:
    """Over a tab that nobody sees for a while; then one worker's alone, and what is looked for in it."""
    page, wrong = await opened(browser, guard)
    await at_pool(page, namespace)
    await page.select_option("#log-of", "*")
    for pod in ("thumbs-a", "thumbs-b"):
        await comes(page, f"{pod}  first of {pod}")
    await kubelet.start_pod(namespace, "thumbs-c")
    await kubelet.write("thumbs-c", f"{HOSTILE} of thumbs-c")
    await comes(page, "of thumbs-c")
    for number in (1, 2):
        await page.evaluate(HIDE, arg=True)
        await holds(page, "document.getElementById('link').dataset.state === 'paused'")
        await kubelet.write("thumbs-b", f"unseen {number}")
        await page.evaluate(HIDE, arg=False)
        await comes(page, f"thumbs-b  unseen {number}")
    lines = await shown(page)
    assert len(lines) == 5
    assert len({*lines}) == 5
    assert await page.locator("#log img").count() == 0
    await page.select_option("#log-of", "thumbs-b")
    await comes(page, "unseen 2")
    assert await shown(page) == ["first of thumbs-b", "unseen 1", "unseen 2"]
    await page.fill("#log-find", "UNSEEN")
    await holds(page, "document.querySelectorAll('#log div:not(.out)').length === 2")
    await page.select_option("#log-of", "")
    await holds(page, "document.getElementById('log').childElementCount === 0")
    await kubelet.end_pod(namespace, "thumbs-c")
    assert wrong == []


async def test_the_file_leads_to_the_page(browser: Browser, guard: Guard, tmp_path: Path) -> None:
    """From a page of no site to one that strict cookies are of."""
    page = await browser.new_page()
    await page.goto(written(tmp_path, guard.link).as_uri())
    await page.wait_for_selector("#pools", state="attached")
    assert guard.token == ""
