"""The page in the cluster in a real Chromium: `make e2e-ui`."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from e2e.cluster.controlplane import ControlPlane
from tests.component.ui.test_browser import holds, rich, violations
from tests.component.ui.test_in_cluster import CHANGE, LOOK, account
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.ui.gate import opened
from workerpool_operator.ui.visitors import MOST_OF_ONE, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("crds"), pytest.mark.timeout(300)]

KEPT = "[document.cookie, localStorage.length, sessionStorage.length, location.href].join(' ')"


@contextlib.asynccontextmanager
async def serving(access: ClusterAccess) -> AsyncIterator[str]:
    """The page, and where it is."""
    ca = Path(access.configuration.ssl_ca_cert)
    visitors = Visitors(lambda token: ClusterAccess.with_token(access.server, token=token, ca=ca), check_seconds=1)
    async with opened(visitors, server=access.server, bind="127.0.0.1", port=0) as port:
        yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture
async def origin(access: ClusterAccess) -> AsyncIterator[str]:
    """Where the page is served."""
    async with serving(access) as origin:
        yield origin


async def sign_in(page: Page, token: str, namespace: str) -> None:
    await page.fill("#token", token)
    await page.fill("#namespace", namespace)
    await page.press("#namespace", "Enter")


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_one_signs_in_looks_presses_and_is_forgotten(
    *, browser: Browser, origin: str, plane: ControlPlane, kube: Kube, namespace: str, scheme: Any
) -> None:
    """From the page of one pool that somebody sent a link of; the token is in no place that outlives the tab."""
    await rich(kube, namespace)
    token = account(plane, namespace, "changer", CHANGE)
    page = await (await browser.new_context(color_scheme=scheme)).new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.goto(f"{origin}/pool/{namespace}/thumbs")
    assert await violations(page) == {}
    await sign_in(page, "nonsense", namespace)
    await holds(page, "document.getElementById('login-said')?.textContent.includes('does not accept')")
    await sign_in(page, token, namespace)
    await page.wait_for_selector("#button-hold-size")
    await holds(page, "document.getElementById('link').dataset.state === 'live'")
    assert await violations(page) == {}
    await page.click("#button-hold-size")
    await page.click("#ask-yes")
    await holds(page, "document.getElementById('said').textContent === 'Hold size: done.'")
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    assert (await kube.get(ref))["metadata"]["annotations"]["workerpool.dev/paused"] == "true"
    await page.wait_for_selector("#button-release-size")
    await page.click("nav >> text=Pools")
    await holds(page, "document.querySelectorAll('#pools tr').length === 9")
    patch = {"status": {"scaling": {"depth": 8_123}}}
    await kube.merge_patch(ref, patch, subresource="status")
    await holds(page, "document.getElementById('pools').textContent.includes('8123')")
    await page.go_back()
    await page.wait_for_selector("#button-release-size")
    kept = await page.evaluate(KEPT)
    assert token not in kept
    assert kept.split()[:2] == ["0", "0"]
    await page.reload()
    await page.wait_for_selector("#login")
    assert "thumbs" not in await page.inner_text("body")
    await sign_in(page, token, namespace)
    await page.click("#sign-out")
    await page.wait_for_selector("#login")
    assert wrong == []


async def test_a_token_that_is_taken_back_signs_out(
    browser: Browser, origin: str, plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Without anybody touching the page."""
    await rich(kube, namespace)
    token = account(plane, namespace, "changer", CHANGE)
    page = await browser.new_page()
    await page.goto(origin)
    await sign_in(page, token, namespace)
    await holds(page, "document.querySelectorAll('#pools tr').length === 9")
    await kube.delete(ObjectRef(kinds.SERVICE_ACCOUNT, namespace, "changer"))
    await holds(page, "document.getElementById('login-said')?.textContent.includes('no longer accepts')")
    assert "thumbs" not in await page.inner_text("body")


async def test_it_says_itself_that_it_does_not_answer(
    browser: Browser, access: ClusterAccess, plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """By its own name, not by that of a command which its user has never heard of."""
    await rich(kube, namespace)
    token = account(plane, namespace, "looker", LOOK)
    page = await browser.new_page()
    async with serving(access) as origin:
        await page.goto(f"{origin}/pool/{namespace}/thumbs")
        await sign_in(page, token, namespace)
        await holds(page, "document.getElementById('link')?.dataset.state === 'live'")
    await holds(page, "document.getElementById('link').textContent === '▲ The page does not answer'")


async def test_who_has_no_place_left_reads_why(
    browser: Browser, origin: str, plane: ControlPlane, namespace: str
) -> None:
    """And may go on with one of those that there are, or sign out."""
    token = account(plane, namespace, "looker", LOOK)
    for number in range(MOST_OF_ONE):  # each in a context of its own: one keeps six connections to an address
        page = await (await browser.new_context()).new_page()
        await page.goto(origin)
        await sign_in(page, token, f"made-up-{number}")
        await holds(page, "document.getElementById('link')?.dataset.state === 'live'")
    page = await (await browser.new_context()).new_page()
    await page.goto(origin)
    await sign_in(page, token, "made-up-too")
    await holds(page, "document.body.textContent.includes('Your account has 8 places of this page already')")
    assert await violations(page) == {}
    await page.click("#sign-out")
    await page.wait_for_selector("#login")
