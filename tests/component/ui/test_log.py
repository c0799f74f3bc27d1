"""The log on a pool's page, at a real API server; the kubelet that it asks is played."""

import json
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.support.kubelet import PlayedKubelet, played_kubelet
from tests.support.page import Page
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, Kube
from workerpool_operator.ui.server import served

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


@pytest_asyncio.fixture
async def page(access: ClusterAccess, namespace: str) -> AsyncIterator[Page]:
    """As administrator."""
    async with served(access, namespace=namespace) as guard, Page(guard) as page:
        yield page


@pytest_asyncio.fixture
async def kubelet(plane: ControlPlane, kube: Kube, namespace: str) -> AsyncIterator[PlayedKubelet]:
    """A pool with two workers that have written a line each."""
    await kube.create(pool_body(namespace=namespace))
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        for pod in ("thumbs-a", "thumbs-b"):
            await kubelet.start_pod(namespace, pod)
            await kubelet.write(pod, f"first of {pod}")
        yield kubelet


async def lines(page: Page, path: str, *wanted: str) -> list[str]:
    """Look until these have come; all that has come since then, and `page.position` says where that is."""
    page.log.clear()
    async with page.live(path) as messages:
        async for _ in messages:
            if all(any(one in line for line in page.log) for one in wanted):
                return list(page.log)
    raise AssertionError(f"the stream ended; there are {page.log}")


async def test_who_comes_later_is_followed_too_and_who_goes_is_let_go(
    page: Page, kubelet: PlayedKubelet, namespace: str
) -> None:
    """From the first line on, with the name before each line."""
    async with page.live(f"live/pool/{namespace}/thumbs?log=*") as messages:

        async def comes(line: str) -> None:
            while line not in page.log:
                await anext(messages)

        await comes("thumbs-a  first of thumbs-a")
        await comes("thumbs-b  first of thumbs-b")
        await kubelet.start_pod(namespace, "thumbs-c")
        await kubelet.write("thumbs-c", "first of thumbs-c")
        await comes("thumbs-c  first of thumbs-c")
        await kubelet.write("thumbs-a", "second of thumbs-a")
        await comes("thumbs-a  second of thumbs-a")
        await kubelet.end_pod(namespace, "thumbs-b")
        await until(lambda: kubelet.following == {"thumbs-a", "thumbs-c"}, what="nobody follows the one that went")
        await kubelet.write("thumbs-c", "second of thumbs-c")
        await comes("thumbs-c  second of thumbs-c")
    written = [line for line in page.log if "—" not in line]
    assert sorted(written) == sorted({*written}), "each once"


@pytest.mark.parametrize("log", ["*", "thumbs-a"])
async def test_a_browser_that_comes_back_is_shown_nothing_twice(
    page: Page, kubelet: PlayedKubelet, namespace: str, log: str
) -> None:
    """However it says how far it has come: in the address, as after it was hidden, or as browsers do by themselves."""
    path = f"live/pool/{namespace}/thumbs?log={log}"
    pods = ("thumbs-a", "thumbs-b") if log == "*" else ("thumbs-a",)
    await lines(page, path, *(f"first of {pod}" for pod in pods))
    for number, by in enumerate(("address", "header", "address")):
        for pod in pods:
            await kubelet.write(pod, f"meanwhile {number} of {pod}")
        position = page.position
        json.loads(position)
        if by == "address":
            shown = await lines(
                page, f"{path}&since={quote(position)}", *(f"meanwhile {number} of {pod}" for pod in pods)
            )
        else:
            page.session.headers["Last-Event-ID"] = position
            shown = await lines(page, path, *(f"meanwhile {number} of {pod}" for pod in pods))
            del page.session.headers["Last-Event-ID"]
        assert len(shown) == len(pods)


async def test_what_was_said_of_silence_is_not_said_again(
    page: Page, kube: Kube, kubelet: PlayedKubelet, namespace: str
) -> None:
    """Neither why a worker cannot begin, nor that one has stopped."""
    waiting = {"reason": "ErrImagePull", "message": "no such image"}
    await kubelet.start_pod(namespace, "thumbs-c", waiting=waiting)
    await kubelet.crash(namespace, "thumbs-a", "the last words")
    path = f"live/pool/{namespace}/thumbs?log=*"
    shown = await lines(page, path, "thumbs-c has no log yet", "the last words")
    assert "cannot be pulled (ErrImagePull: no such image)" in "".join(shown)
    await kubelet.write("thumbs-b", "meanwhile")
    shown = await lines(page, f"{path}&since={quote(page.position)}", "meanwhile")
    assert not [line for line in shown if "thumbs-c" in line or "the last words" in line]


@pytest.mark.parametrize(
    "position", ["nonsense", "[]", "{", '{"a": 1}', '{"a": ["x", ""]}', '{"a": ["2026-01-02", ""]}']
)
async def test_a_position_that_is_none_is_left_alone(
    page: Page, kubelet: PlayedKubelet, namespace: str, position: str
) -> None:
    """It shows what is shown to who comes first."""
    path = f"live/pool/{namespace}/thumbs?log=thumbs-a&since={quote(position)}"
    assert await lines(page, path, "first of thumbs-a") == ["first of thumbs-a"]
