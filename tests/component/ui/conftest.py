"""A real Chromium, and an operator that is played."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.component.cli.running import held_lease
from tests.support.patience import be_patient
from tests.support.standing import no_lease_is_left
from workerpool_operator.kube import Kube


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that are served by this process wait for the API server."""
    be_patient(monkeypatch)


@pytest_asyncio.fixture
async def nobody(kube: Kube) -> None:
    """No operator: those of other tests, which end as they like, may have left a Lease that looks held."""
    await no_lease_is_left(kube)


@pytest_asyncio.fixture
async def operator(nobody: None, kube: Kube, namespace: str) -> AsyncIterator[None]:
    """The Lease of one that runs; what it would do is played."""
    async with held_lease(kube, namespace):
        yield


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window. As root it has no sandbox."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is missing: scripts/setup.sh chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        await browser.close()
