"""The page where no operator runs, or where it refuses: nothing is said to be done that is not."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import deployed_operator, held_lease, of_somebody
from tests.support.page import Page
from tests.support.pools import pool_body
from tests.support.standing import answering
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds
from workerpool_operator.ui import feed, hub, verbs
from workerpool_operator.ui.server import served
from workerpool_operator.ui.shared import Mirror

pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.usefixtures("crds", "nobody"),
]

WHY = "no operator is installed in this cluster, only its resource definitions"
DO = "helm install workerpool-operator charts/workerpool-operator --namespace workerpool-system"
ROLLOUT = {"stable": "aa", "wanted": "bb", "canary": "bb", "step": 1, "weight": 10}


@pytest_asyncio.fixture
async def page(access: ClusterAccess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Page]:
    """As administrator; who looks often sees soon."""
    monkeypatch.setattr(feed, "STANDING_SECONDS", 0.2)
    async with served(access) as guard, Page(guard) as page:
        yield page


@pytest_asyncio.fixture
async def pool(kube: Kube, namespace: str) -> ObjectRef:
    """One with a rollout, that an operator has seen."""
    await kube.create(pool_body(namespace=namespace, rollout={"strategy": "Canary"}))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    status = {"observedGeneration": 1, "rollout": ROLLOUT}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    return ref


async def banner(page: Page, path: str, *, without: str) -> str:
    """The banner as soon as this does not stand in it."""
    async with page.live(path) as messages:
        async for _ in messages:
            if without not in page.shown["banner"]:
                return page.shown["banner"]
    raise AssertionError(f"the stream ended; the banner is {page.shown['banner']}")


async def test_a_banner_says_so_on_each_page(page: Page, kube: Kube, pool: ObjectRef) -> None:
    """For as long as none runs: what is shown is old then."""
    for live in ("live/pools?since=0", f"live/pool/{pool.namespace}/thumbs", "live/budgets"):
        page.shown.clear()
        shown = await page.until(live, text=WHY, within="banner")
        assert DO in shown
        assert "may be old" in shown
    await page.until(f"live/pool/{pool.namespace}/thumbs", text="thumbs", within="head")
    for path in ("", f"pool/{pool.namespace}/thumbs", "budgets", "cost"):
        assert WHY in await page.get(path)
    async with deployed_operator(kube, pool.namespace, runs=False) as name:
        await page.until("live/budgets", text=f"no replica of the operator ({name}) is ready", within="banner")
    async with held_lease(kube, pool.namespace):
        assert "operator" not in await banner(page, "live/pools?since=0", without="operator")
        assert "operator" not in await page.get("budgets")
    await page.until("live/pools?since=0", text=WHY, within="banner")


async def test_a_button_says_that_it_is_written_and_nothing_is_done(page: Page, kube: Kube, pool: ObjectRef) -> None:
    """As the commands do: it stands for the operator that comes."""
    name = f"{pool.namespace}/thumbs"
    for verb, label, said in (
        ("stop", "Stop", {}),
        ("hold-size", "Hold size", {}),
        ("throttle", "Throttle", {"rate": "5", "minutes": "1"}),
        ("restart", "Restart workers", {}),
        ("reassign", "Reassign", {"primary": "zone=a"}),
    ):
        before = (await kube.get(pool))["metadata"]["resourceVersion"]
        status, message = await page.press(name, verb, **said)
        assert status == 503
        assert message.startswith(f"{label}: it is written, and nothing is done: {WHY}")
        assert DO in message
        assert (await kube.get(pool))["metadata"]["resourceVersion"] != before


async def test_a_decision_that_nobody_hears_is_not_said_to_be_done(page: Page, kube: Kube, pool: ObjectRef) -> None:
    status, message = await page.press(f"{pool.namespace}/thumbs", "abort", version="bb")
    assert (status, message.startswith(f"Abort: written, and nobody answers: {WHY}")) == (503, True)
    assert "workerpool.dev/command" in (await kube.get(pool))["metadata"]["annotations"]


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(("verb", "label"), [("promote", "Promote"), ("abort", "Abort"), ("pause", "Pause rollout")])
async def test_what_the_operator_refuses_is_said(
    *, page: Page, kube: Kube, pool: ObjectRef, verb: str, label: str
) -> None:
    said = {"version": "bb"} | ({"step": "1"} if verb == "promote" else {})
    async with answering(kube, pool, refused=True):
        status, message = await page.press(f"{pool.namespace}/thumbs", verb, **said)
    assert status == 409
    assert message == f"{label}: the operator refused it: it does not fit what is going on. Nothing was done."
    async with answering(kube, pool):
        assert await page.press(f"{pool.namespace}/thumbs", verb, **said) == (200, f"{label}: done.")


@pytest.mark.usefixtures("operator")
async def test_a_step_that_somebody_else_has_ended_is_not_ended_twice(page: Page, kube: Kube, pool: ObjectRef) -> None:
    """The next one has not been seen by who presses; and both at once are told apart by the operator."""
    await kube.merge_patch(pool, {"status": {"rollout": {**ROLLOUT, "step": 2}}}, subresource="status")
    status, message = await page.press(f"{pool.namespace}/thumbs", "promote", version="bb", step="1")
    assert (status, message) == (409, "The rollout is at step 2 by now. Look again; nothing was done.")
    async with answering(kube, pool):
        assert (await page.press(f"{pool.namespace}/thumbs", "promote", version="bb", step="2"))[0] == 200
    assert "promote@bb/2#" in (await kube.get(pool))["metadata"]["annotations"]["workerpool.dev/command"]


@pytest.mark.usefixtures("operator")
async def test_an_operator_that_does_not_answer(page: Page, pool: ObjectRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "ANSWER_SECONDS", 0.2)
    status, message = await page.press(f"{pool.namespace}/thumbs", "pause", version="bb")
    assert (status, message.startswith("Pause rollout: written, and not answered within 0.2 s")) == (503, True)


async def test_who_may_not_see_operators_is_told_nothing_false(
    plane: ControlPlane, pool: ObjectRef, tmp_path: Path
) -> None:
    """There may be one."""
    own = of_somebody(plane, pool.namespace, tmp_path, verbs="get,list,watch,patch", resource="workerpools")
    access = await ClusterAccess.find(own)
    async with served(access, namespace=pool.namespace) as guard, Page(guard) as page:
        assert await page.press(f"{pool.namespace}/thumbs", "stop") == (200, "Stop: done.")
        assert WHY not in await page.get()


async def test_a_pool_is_not_said_to_be_gone_while_pools_are_read(
    access: ClusterAccess, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first listing of a large cluster takes longer than somebody waits for a page: it goes on by itself."""
    await kube.create(pool_body("thumbs", namespace))
    listed = asyncio.Event()

    class Slow(Mirror):
        async def __aenter__(self) -> Any:
            await listed.wait()
            return await super().__aenter__()

    monkeypatch.setattr(hub, "Mirror", Slow)
    monkeypatch.setattr("workerpool_operator.ui.site._FIRST_SECONDS", 0.1)
    async with served(access) as guard, Page(guard) as page:
        for name in ("thumbs", "nobody"):
            async with page.session.get(f"{page.root}pool/{namespace}/{name}") as answer:
                assert (answer.status, "Pools are being read" in await answer.text()) == (200, True)
        live = f"live/pool/{namespace}/thumbs"
        assert f"{live}?coming" in await page.get(f"pool/{namespace}/thumbs")
        async with page.live(f"{live}?coming") as messages:
            assert "reload" not in json.dumps(await anext(messages))
            listed.set()
            while not (await anext(messages)).get("reload"):
                pass
        assert "Restart workers" in await page.until(live, text="Restart", within="actions")
        async with page.session.get(f"{page.root}pool/{namespace}/nobody") as answer:
            assert (answer.status, "There is no pool" in await answer.text()) == (404, True)


async def test_a_page_that_is_opened_while_pools_cannot_be_read_goes_on_by_itself(
    access: ClusterAccess, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is woken opens the link to a pool while the API server is coming back."""
    await kube.create(pool_body("thumbs", namespace))
    back = asyncio.Event()

    class Away(Mirror):
        async def __aenter__(self) -> Any:
            if not back.is_set():
                raise errors.Unavailable("connection refused")
            return await super().__aenter__()

    monkeypatch.setattr(hub, "Mirror", Away)
    monkeypatch.setattr("workerpool_operator.ui.feed.AWAY_SECONDS", 0.1)
    monkeypatch.setattr("workerpool_operator.ui.site._FIRST_SECONDS", 60)
    async with served(access) as guard, Page(guard) as page:
        live = f"live/pool/{namespace}/thumbs?coming"
        async with page.session.get(f"{page.root}pool/{namespace}/thumbs") as answer:
            html = await answer.text()
        assert (answer.status, live in html) == (503, True)
        assert "Pools cannot be read:" in html
        assert "connection refused. It goes on by itself." in html
        async with page.live(live) as messages:
            assert "reload" not in json.dumps(await anext(messages))
            back.set()
            while not (await anext(messages)).get("reload"):
                pass
