"""The page in the cluster, before a real API server: without a token nothing, with one what its owner may."""

import asyncio
import contextlib
import html
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import until_allowed, user_of
from tests.support.attacks import attack
from tests.support.authority import Authority
from tests.support.crds import kubectl
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.ui import visitors
from workerpool_operator.ui.gate import opened
from workerpool_operator.ui.site import ROUTES
from workerpool_operator.ui.visitors import Visitors

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

LOOK, CHANGE = ["get", "list", "watch"], ["get", "list", "watch", "patch"]


class Browser:
    """Asks the page, as its script does."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session = session
        self.origin = f"http://127.0.0.1:{port}"

    async def get(self, path: str, token: str = "", *, namespace: str = "", **headers: str) -> tuple[int, str]:
        async with self.session.get(f"{self.origin}/{path}", headers=said(token, namespace) | headers) as answer:
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert not answer.cookies
            return answer.status, await answer.text()

    def live(self, token: str, namespace: str) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A stream, as the page's script opens it."""
        headers = said(token, namespace) | {"Accept": "text/event-stream"}
        return self.session.get(f"{self.origin}/live/budgets", headers=headers)

    async def press(self, pool: str, verb: str, token: str, **fields: str) -> tuple[int, str]:
        headers = said(token) | {"Accept": "application/json"}
        async with self.session.post(f"{self.origin}/pool/{pool}/{verb}", data=fields, headers=headers) as answer:
            return answer.status, await answer.text()


def said(token: str, namespace: str = "") -> dict[str, str]:
    found = {"Authorization": f"Bearer {token}"} if token else {}
    return found | ({"Wpool-Namespace": namespace} if namespace else {})


def account(plane: ControlPlane, namespace: str, name: str, verbs: list[str], *flags: str) -> str:
    """A service account that may do this with pools of the namespace; its token."""
    rules = [{"verbs": verbs, "apiGroups": ["workerpool.dev"], "resources": ["workerpools"]}] if verbs else []
    metadata = {"name": name, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    for body in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ):
        kubectl(plane, "apply", "-f", "-", stdin=json.dumps(body))
    if verbs:
        right = {"verb": verbs[0], "group": "workerpool.dev", "resource": "workerpools", "namespace": namespace}
        until_allowed(plane, user_of(namespace, name), **right)
    return kubectl(plane, "-n", namespace, "create", "token", name, *flags).strip()


async def pool(kube: Kube, namespace: str, name: str, depth: int) -> ObjectRef:
    await kube.create(pool_body(name, namespace))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, name)
    await kube.merge_patch(ref, {"status": {"scaling": {"desired": 1, "depth": depth}}}, subresource="status")
    return ref


@pytest_asyncio.fixture
async def browser(access: ClusterAccess) -> AsyncIterator[Browser]:
    """The page, which has no more than the API server's address and authority."""
    ca = Path(access.configuration.ssl_ca_cert)
    all_of_them = Visitors(lambda token: ClusterAccess.with_token(access.server, token=token, ca=ca), check_seconds=0.4)
    async with (
        opened(all_of_them, server=access.server, bind="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as session,
    ):
        yield Browser(session, port)


@attack(
    "the page in the cluster, and its buttons, without a token",
    stopped_by="it has no rights of its own: without a token there is a login and nothing else",
)
async def test_without_a_token_there_is_a_login_and_nothing_else(browser: Browser, kube: Kube, namespace: str) -> None:
    """Whatever is asked for, and whether it is there or not: the answer is the same, to the letter."""
    await pool(kube, namespace, "thumbs", 4_711)
    status, login = await browser.get("")
    assert status == 200
    assert "Sign in" in login
    for told in (namespace, "thumbs", "4711", "127.0.0.1"):
        assert told not in login
    paths = [path.format(namespace=namespace, name="thumbs", verb="stop") for _, path, _ in ROUTES]
    for path in [*paths[1:], "pool/no/body", "nothing", "live/pools?since=0", "static/../server.py"]:
        assert await browser.get(path) == (401, login), path
    status, told = await browser.press(f"{namespace}/thumbs", "stop", "")
    assert status == 401
    assert "thumbs" not in told
    assert not (await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")))["spec"].get("suspend")


@attack(
    "a forged token, or one for another audience, at the page in the cluster",
    stopped_by="the API server is asked with the token itself before anything is shown",
)
async def test_a_token_that_the_cluster_does_not_know_shows_nothing(
    browser: Browser, plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Forged, for another audience, in another form, or two at once."""
    await pool(kube, namespace, "thumbs", 4_711)
    good = account(plane, namespace, "looker", LOOK)
    other = account(plane, namespace, "looker", LOOK, "--audience", "somebody-else")
    forged = good[:-8] + ("A" * 8 if not good.endswith("A" * 8) else "B" * 8)
    headers = [said(other), said(forged), said("nonsense"), {"Authorization": f"Basic {good}"}]
    headers += [{"Authorization": good}, {"Authorization": "Bearer "}, {"Cookie": f"wpool={good}"}]
    headers += [{"Impersonate-User": "system:admin"}, {"X-Remote-User": "admin"}]
    for one in headers:
        for path in (f"pool/{namespace}/thumbs", "live/pools?since=0"):
            status, told = await browser.get(path, **one)
            assert status == 401, one
            assert "4711" not in told
    for namespace_said in ("../kube-system", "a b", "%2e", "A"):
        assert (await browser.get("", good, namespace=namespace_said))[0] == 400


@attack(
    "what others may see and press on the page in the cluster, with a token that may less",
    stopped_by="all is read and written with the token that asks, and kept apart by token",
)
@pytest.mark.usefixtures("operator")
async def test_each_sees_and_does_what_they_may(
    browser: Browser, plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Two people at once, one of whom may change pools, and one who may nothing."""
    ref = await pool(kube, namespace, "thumbs", 4_711)
    looker, changer = account(plane, namespace, "looker", LOOK), account(plane, namespace, "changer", CHANGE)
    nobody = account(plane, namespace, "nobody", [])
    at = f"pool/{namespace}/thumbs"

    async def shows(token: str, text: str) -> None:
        async def look() -> bool:
            return text in (await browser.get(at, token, namespace=namespace))[1]

        await until(look, what=text)

    await shows(changer, "Restart workers")
    await shows(looker, "You may not change this pool")
    await shows(nobody, "You may not list and watch pools here")
    for path in ("", at):
        assert "4711" not in (await browser.get(path, nobody, namespace=namespace))[1]
    status, told = await browser.press(f"{namespace}/thumbs", "stop", looker)
    assert status == 403
    assert "Not done, as you may not do this" in told
    assert 'cannot patch resource \\"workerpools\\"' in told
    assert (await browser.press(f"{namespace}/thumbs", "stop", nobody))[0] == 403
    assert not (await kube.get(ref))["spec"].get("suspend")
    assert (await browser.press(f"{namespace}/thumbs", "stop", changer))[0] == 200
    stopped = await kube.get(ref)
    assert stopped["spec"]["suspend"] is True
    assert "wpool-ui" in {one["manager"] for one in stopped["metadata"]["managedFields"]}


@attack(
    "a stream of the page in the cluster that goes on after its token was taken back",
    stopped_by="the API server is asked again, and streams are cut",
)
async def test_a_token_that_is_taken_back_ends_what_it_looks_at(
    browser: Browser, plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Its stream ends, and there is a login again."""
    await pool(kube, namespace, "thumbs", 4_711)
    token = account(plane, namespace, "looker", LOOK)
    headers = said(token, namespace)
    async with browser.session.get(f"{browser.origin}/live/pools?since=0", headers=headers) as stream:
        assert stream.status == 200
        assert b"4711" in await _until(stream, b"4711")
        kubectl(plane, "-n", namespace, "delete", "serviceaccount", "looker")

        async def drained() -> None:
            while await stream.content.readany():
                pass

        with pytest.raises(aiohttp.ClientError):  # cut off, in the middle of an answer without an end
            await asyncio.wait_for(drained(), timeout=60)
    status, told = await browser.get("", token, namespace=namespace)
    assert status == 401
    assert "4711" not in told


async def _until(stream: aiohttp.ClientResponse, what: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(60):
        while what not in seen:
            seen += await stream.content.readany()
    return seen


@attack(
    "all places of the page in the cluster, taken by one account with many namespaces or tokens",
    stopped_by="an account has a few places and no more, and what nobody looks at makes room",
)
async def test_one_account_does_not_fill_the_page(browser: Browser, plane: ControlPlane, namespace: str) -> None:
    """Not with looks at namespaces that it has made up, one after the other, and not with streams, nor more tokens."""
    greedy, honest = account(plane, namespace, "greedy", LOOK), account(plane, namespace, "honest", LOOK)
    another = account(plane, namespace, "greedy", LOOK)
    for number in range(visitors.MOST):
        assert (await browser.get("budgets", greedy, namespace=f"made-up-{number}"))[0] == 200
    assert (await browser.get("budgets", honest, namespace=namespace))[0] == 200
    async with contextlib.AsyncExitStack() as open_ones:
        for number in range(visitors.MOST_OF_ONE):
            stream = await open_ones.enter_async_context(browser.live(greedy, f"made-up-{number}"))
            assert stream.status == 200
        for token in (greedy, another):
            status, told = await browser.get("", token, namespace="made-up-too")
            assert status == 429
            assert "Your account has 8 places of this page already" in told
            async with browser.live(token, "made-up-too") as stream:
                assert (stream.status, stream.content_type) == (429, "text/plain")
                assert "Close a tab" in await stream.text()
        assert (await browser.get("", greedy, namespace="made-up-0"))[0] == 200, "one of those that it has"
        assert (await browser.get("", honest, namespace=namespace))[0] == 200
        async with browser.live(honest, namespace) as stream:
            assert stream.status == 200

    async def admitted() -> bool:
        return (await browser.get("", another, namespace="made-up-too"))[0] == 200

    await until(admitted, what="a place again, once a tab is closed")


async def test_who_finds_no_place_is_told_so(
    browser: Browser, plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whom they are taken, and what to do; one that nobody looks at makes room."""
    monkeypatch.setattr(visitors, "MOST", 2)
    tokens = [account(plane, namespace, name, LOOK) for name in ("one", "two", "three")]
    async with browser.live(tokens[0], namespace), browser.live(tokens[1], namespace):
        status, told = await browser.get("", tokens[2], namespace=namespace)
        assert status == 503
        assert "places of this page are taken, by 2 accounts" in told
        assert "Try again in a minute" in told
        assert (await browser.get("", tokens[0], namespace=namespace))[0] == 200

    async def admitted() -> bool:
        return (await browser.get("", tokens[2], namespace=namespace))[0] == 200

    await until(admitted, what="a place, now that nobody looks")


async def test_an_api_server_with_another_certificate(access: ClusterAccess, tmp_path: Path) -> None:
    """Is sent no token, and said not to fit: its owner is to look at what the page trusts."""
    ca = Authority(tmp_path / "another").ca
    strict = Visitors(lambda token: ClusterAccess.with_token(access.server, token=token, ca=ca))
    async with (
        opened(strict, server=access.server, bind="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as session,
    ):
        status, told = await Browser(session, port).get("", "somebody")
    assert status == 503
    assert "certificate does not fit (unable to get local issuer certificate)" in html.unescape(told)
    assert "kube-root-ca.crt" in told


async def test_its_words_are_its_own(browser: Browser, plane: ControlPlane, namespace: str) -> None:
    """It is no command of the user's, so it calls itself something else, and advises what can be done there."""
    token = account(plane, namespace, "looker", LOOK)

    async def narrowed() -> bool:
        return "name another namespace where you sign in" in (await browser.get("", token))[1]

    await until(narrowed, what="what is left out")
    for path in ("", "budgets"):
        told = (await browser.get(path, token))[1]
        assert 'data-who="The page"' in told
        assert "wpool ui" not in told


async def test_the_program_runs_with_nothing_but_an_address(access: ClusterAccess, tmp_path: Path) -> None:
    """As in its pod: no kubeconfig, no token, and of the command line's libraries none that its image has not."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "API_SERVER": access.server}
    environment |= {"API_CA": access.configuration.ssl_ca_cert, "BIND_ADDRESS": "127.0.0.1", "HTTP_PORT": "0"}
    program = "import sys; sys.modules.update(dict.fromkeys(['common_expression_language', 'cel'])); "
    program += "from workerpool_operator.ui.__main__ import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        line = (await asyncio.wait_for(process.stderr.readline(), timeout=60)).decode()
        assert line.startswith("serving on port"), line
        async with aiohttp.ClientSession() as session:
            origin = f"http://127.0.0.1:{line.split()[-1]}"
            found: dict[str, Any] = {}
            for path in ("healthz", "static/login.js", "budgets"):
                async with session.get(f"{origin}/{path}") as answer:
                    found[path] = answer.status
        assert found == {"healthz": 200, "static/login.js": 200, "budgets": 401}
    finally:
        process.terminate()
        assert await process.wait() == 0
