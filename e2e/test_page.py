"""`wpool ui` in a real Chromium, before a cluster with real pods: what is pressed is done, and is seen to be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from e2e.cli import Follower
from e2e.scene import SOON, Scene

pytestmark = pytest.mark.browser

POOL = "shown"
PATIENCE = SOON * 1000
"""Milliseconds."""


@pytest.fixture
def page(scene: Scene) -> Iterator[Page]:
    """A tab that came by the link which the command has printed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is missing: scripts/setup.sh chromium")
    follower = Follower(scene, "ui", "--no-browser", f"--namespace={scene.namespace}")
    try:
        link = follower.wait_for("http://127.0.0.1:").strip()
        with sync_playwright() as playwright:
            sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=program, args=sandbox)
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(link)
            yield page
            browser.close()
    finally:
        follower.end()


def test_a_pool_is_stopped_and_started_by_its_buttons(page: Page, scene: Scene) -> None:
    """The cluster follows the page, and the page the cluster; a worker's log comes, also of those that come later."""
    scene.apply(POOL, scaling={"minReplicas": 2, "maxReplicas": 2})
    before = scene.wait_workers(POOL, 2)
    page.click(f"#pools >> text={POOL}")
    expect(page.locator("#head")).to_contain_text("2/2 ready", timeout=PATIENCE)
    expect(page.locator("#banner")).to_be_empty()
    page.select_option("#log-of", "*")
    _wrote(page, scene, "rejected-1")

    page.click("#button-stop")
    assert len(scene.workers(POOL)) == 2, "it asks first"
    page.click("#ask-yes")
    expect(page.locator("#said")).to_have_text("Stop: done.", timeout=PATIENCE)
    scene.wait_workers(POOL, 0)
    expect(page.locator("#head")).to_contain_text("0/0 ready", timeout=PATIENCE)
    expect(page.locator("#pods [data-pod]")).to_have_count(0, timeout=PATIENCE)

    page.click("#button-start")
    expect(page.locator("#said")).to_have_text("Start: done.", timeout=PATIENCE)
    after = scene.wait_workers(POOL, 2)
    assert not before.keys() & after.keys()
    for pod in after.values():
        expect(page.locator(f"[data-pod='{pod['metadata']['name']}']")).to_contain_text("Ready", timeout=PATIENCE)
    _wrote(page, scene, "rejected-2")


def _wrote(page: Page, scene: Scene, job: str) -> None:
    """A line of a worker is in the log, once."""
    with scene.broker() as client:
        client.xadd(POOL, {"type": "sleep", "payload": '"no object"', "id": job})
    expect(page.locator("#log")).to_contain_text(f"job_id={job}", timeout=PATIENCE)
