"""The page, served for a real API server."""

import json
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.support.attacks import attack
from tests.support.authority import Authority
from tests.support.crds import kubectl
from tests.support.page import Page
from tests.support.patience import be_patient
from tests.support.pools import pool_body
from tests.support.proxy import Proxy
from tests.support.standing import answering
from tests.support.waiting import until
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.ui.server import served

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'\x1b[31m\u202e"
ESCAPED = "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;&#34;&#39;"


@pytest_asyncio.fixture
async def page(access: ClusterAccess) -> AsyncIterator[Page]:
    """As administrator."""
    async with served(access) as guard, Page(guard) as page:
        yield page


async def pool(kube: Kube, namespace: str, name: str = "thumbs", **status: Any) -> ObjectRef:
    """A pool, and its status as the operator writes it."""
    await kube.create(pool_body(name, namespace))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, name)
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    return ref


async def pod(kube: Kube, namespace: str, name: str) -> None:
    await kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {POOL_LABEL: "thumbs"}},
            "spec": {"containers": [{"name": "worker", "image": "worker:1"}]},
        }
    )


async def event(kube: Kube, namespace: str, note: str) -> None:
    await kube.create(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "one", "namespace": namespace},
            "regarding": {"kind": "WorkerPool", "name": "thumbs", "namespace": namespace},
            "type": "Warning",
            "reason": "Tested",
            "note": note,
            "action": "test",
            "reportingController": "workerpool.dev/operator",
            "reportingInstance": "test",
            "eventTime": "2030-01-31T12:00:00.000000Z",
        }
    )


async def test_pools_are_there_and_follow_what_happens(page: Page, kube: Kube, namespace: str) -> None:
    """A change, a new one between others, one that goes."""
    first = await pool(kube, namespace, "a", scaling={"desired": 2, "depth": 7})
    await pool(kube, namespace, "c")
    rows = [f"pool:{namespace}/{name}" for name in "abc"]
    await page.until("live/pools?since=0", text=">7<", within=rows[0])
    await page.until("live/pools?since=0", text=rows[2], within=rows[2])
    html = await page.get()
    assert html.index(rows[0]) < html.index(rows[2])
    async with page.live(f"live/pools?since={html.partition('since=')[2].partition(chr(34))[0]}") as messages:
        await anext(messages)
        await kube.merge_patch(first, {"status": {"scaling": {"depth": 8_123}}}, subresource="status")
        await pool(kube, namespace, "b")
        await kube.delete(ObjectRef(kinds.WORKER_POOL, namespace, "c"))
        after = ""
        async for message in messages:
            after = next((one["after"] for one in message.get("patch", ()) if one["id"] == rows[1]), after)
            if ">8123<" in page.shown.get(rows[0], "") and after and page.shown.get(rows[2]) == "":
                break
    assert after == rows[0]


async def test_one_pool_with_its_pods_and_events(page: Page, kube: Kube, namespace: str) -> None:
    """And what does not tell anything says why."""
    queue = {"name": "main", "depth": 41, "reachable": False}
    await pool(kube, namespace, queues=[queue], scaling={"desired": 3})
    await pod(kube, namespace, "thumbs-1")
    await event(kube, namespace, "something was tested")
    live = f"live/pool/{namespace}/thumbs"
    assert "thumbs-1" in await page.until(live, text="thumbs-1", within="pods")
    assert "something was tested" in await page.until(live, text="something", within="events")
    await page.until(live, text="There is no collector in this namespace", within="charts")
    await page.until(live, text="cannot be read", within="queues")
    await page.until(live, text="3 wanted", within="head")
    html = await page.get(f"pool/{namespace}/thumbs")
    assert "thumbs-1" in html
    assert "Restart workers" in html


@attack(
    "a script in a pool's message, event, image or pod",
    stopped_by="everything is escaped, and the content security policy allows no inline script",
)
async def test_what_others_wrote_is_text(page: Page, kube: Kube, namespace: str) -> None:
    """Whatever of markup, sequences for terminals or turned text stands in it."""
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Hostile",
        "message": HOSTILE,
        "lastTransitionTime": "2030-01-31T12:00:00Z",
    }
    version = {"hash": "ab", "revision": "1", "image": HOSTILE, "role": "stable"}
    scaling = {"desired": 1, "reason": HOSTILE, "limitedBy": [HOSTILE[:60]]}
    await pool(
        kube, namespace, scaling=scaling, conditions=[condition], versions=[version], rollout={"stable": HOSTILE[:8]}
    )
    await pod(kube, namespace, "thumbs-1")
    state = {"waiting": {"reason": HOSTILE}}
    status = {"name": "worker", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    of_pod = {"status": {"containerStatuses": [status]}}
    await kube.merge_patch(ObjectRef(kinds.POD, namespace, "thumbs-1"), of_pod, subresource="status")
    await event(kube, namespace, HOSTILE)
    live = f"live/pool/{namespace}/thumbs"
    await page.until(live, text=ESCAPED, within="events")
    await page.until(live, text=ESCAPED, within="pods")
    await page.until(live, text=ESCAPED, within="conditions")
    everything = [await page.get(), await page.get(f"pool/{namespace}/thumbs"), *page.shown.values()]
    for html in everything:
        assert "<script>alert" not in html
        assert "<img" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html
    assert everything[1].count(ESCAPED) >= 5


async def test_a_pool_that_goes_while_it_is_looked_at(page: Page, kube: Kube, namespace: str) -> None:
    """What was known of it stays to be read."""
    ref = await pool(kube, namespace)
    async with page.live(f"live/pool/{namespace}/thumbs") as messages:
        async for _ in messages:
            if "head" in page.shown and "deleted" not in page.shown["gone"]:
                break  # it is known: one that comes and goes before the page has seen it is no news
        await kube.delete(ref)
        async for _ in messages:
            if "deleted" in page.shown.get("gone", ""):
                break
    html = await page.get(f"pool/{namespace}/thumbs")
    assert "There is no pool" in html
    assert "<h1>" in await page.get("pool/%3Cscript%3E/nobody")


@pytest.mark.usefixtures("operator")
async def test_buttons_write_what_the_commands_write(page: Page, kube: Kube, namespace: str) -> None:
    """And say what came of it."""
    ref = await pool(kube, namespace)
    name = f"{namespace}/thumbs"

    async def annotations() -> dict[str, str]:
        return dict((await kube.get(ref))["metadata"].get("annotations") or {})

    assert await page.press(name, "stop") == (200, "Stop: done.")
    stopped = await kube.get(ref)
    assert stopped["spec"]["suspend"] is True
    assert "wpool-ui" in {one["manager"] for one in stopped["metadata"]["managedFields"]}
    assert (await page.press(name, "stop"))[0] == 409
    assert (await page.press(name, "start"))[0] == 200
    assert not (await kube.get(ref))["spec"].get("suspend")
    assert await page.press(name, "hold-size") == (200, "Hold size: done.")
    assert (await annotations())["workerpool.dev/paused"] == "true"
    assert (await page.press(name, "hold-size"))[0] == 409
    assert (await page.press(name, "release-size"))[0] == 200
    assert "workerpool.dev/paused" not in await annotations()
    assert (await page.press(name, "throttle", rate="5", minutes="30"))[0] == 200
    assert (await annotations())["workerpool.dev/throttle"].startswith("5@")
    assert "Throttled: at most 5 jobs/s" in await page.until(f"live/pool/{name}", text="Throttled", within="head")
    for rate in ("", "0", "-1", "nan", "inf", "many", "1e9"):
        assert (await page.press(name, "throttle", rate=rate, minutes="30"))[0] == 422, rate
    assert (await page.press(name, "unthrottle"))[0] == 200
    assert (await page.press(name, "restart"))[0] == 200
    assert set(await annotations()) == {"workerpool.dev/restart"}
    assert (await page.press(name, "delete"))[0] == 409
    assert (await page.press(f"{namespace}/nobody", "restart"))[0] == 404


@pytest.mark.usefixtures("operator")
async def test_a_button_means_the_version_that_was_shown(page: Page, kube: Kube, namespace: str) -> None:
    """One that comes late does not hit the version after."""
    rollout = {"stable": "aa", "wanted": "bb", "canary": "bb", "step": 1, "weight": 10, "verdict": "Inconclusive"}
    ref = await pool(kube, namespace, observedGeneration=1, rollout=rollout)
    name = f"{namespace}/thumbs"
    html = await page.until(f"live/pool/{name}", text="Abort", within="actions")
    assert 'name="version" value="bb"' in html
    status, said = await page.press(name, "abort", version="cc")
    assert (status, said) == (409, "The pool is at version bb by now. Look again; nothing was done.")
    assert not (await kube.get(ref))["metadata"].get("annotations")
    async with answering(kube, ref):
        assert await page.press(name, "abort", version="bb") == (200, "Abort: done.")
    assert (await kube.get(ref))["metadata"]["annotations"]["workerpool.dev/command"].startswith("abort@bb#")
    assert (await page.press(name, "retry", version="bb"))[0] == 409


async def test_who_may_see_little_sees_that(plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Path) -> None:
    """Each part that may not be read says so, and the rest works."""
    await pool(kube, namespace, scaling={"desired": 2})
    role = {"verbs": ["get", "list", "watch"], "apiGroups": ["workerpool.dev"], "resources": ["workerpools"]}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "few", "namespace": namespace}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "few"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "few"}
    for body in (
        kind | {"kind": "Role", "rules": [role]},
        kind | {"kind": "RoleBinding", "roleRef": reference, "subjects": [user]},
    ):
        kubectl(plane, "apply", "-f", "-", stdin=json.dumps(body))
    plane.write_kubeconfig(tmp_path / "few", user="few")
    access = await ClusterAccess.find(tmp_path / "few")
    access.namespace = namespace
    async with served(access) as guard, Page(guard) as page:
        summary = await page.until("live/pools?since=0", text="may not list pools of all", within="summary")
        assert namespace in summary
        await page.until("live/pools?since=0", text=">2<", within=f"pool:{namespace}/thumbs")
        assert "thumbs" in await page.get(f"pool/{namespace}/thumbs")
        assert "There is no pool" in await page.get("pool/default/thumbs")
        live = f"live/pool/{namespace}/thumbs"
        assert "You may not list and watch pods here" in await page.until(live, text="may not", within="pods")
        assert "You may not list and watch events here" in await page.until(live, text="may not", within="events")
        assert "services/proxy" in await page.until(live, text="proxy", within="charts")
        assert "You may not change this pool" in await page.until(live, text="may not", within="actions")
        assert "You may not list and watch budgets" in await page.until("live/budgets", text="may", within="budgets")
        status, said = await page.press(f"{namespace}/thumbs", "restart")
        assert status == 403
        assert 'cannot patch resource "workerpools"' in said


async def test_budgets_show_who_has_what(page: Page, kube: Kube, namespace: str) -> None:
    """With what is wanted beyond what there is."""
    name = f"team-{namespace}"
    body = {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPoolBudget", "metadata": {"name": name}}
    await kube.create({**body, "spec": {"maxReplicas": 10}})
    share = {"namespace": namespace, "name": "thumbs", "priority": 3, "wanted": 14, "granted": 10, "used": 9}
    status = {"status": {"used": 9, "wanted": 14, "granted": 10, "pools": [share]}}
    await kube.merge_patch(ObjectRef(kinds.WORKER_POOL_BUDGET, "", name), status, subresource="status")
    html = await page.until("live/budgets", text="short by 4", within="budgets")
    assert f"{name}</h2>" in html
    assert "<strong>9</strong> of 10" in html


async def test_a_stranger_is_told_nothing(page: Page, namespace: str) -> None:
    """Over the wire: no cookie, another host, another origin, the link once more."""
    async with aiohttp.ClientSession() as stranger:
        for url, headers, status in (
            (page.root, {}, 403),
            (page.origin + "/", {}, 404),
            (page.root + "live/pools", {}, 403),
            (page.root + "static/wpool.js", {}, 403),
            (page.root, {"Host": "evil.example"}, 421),
            (page.guard.link, {}, 403),
            (page.root + "login?token=x", {}, 403),
        ):
            async with stranger.get(url, headers=headers) as answer:
                body = await answer.text()
                assert answer.status == status, url
                assert page.guard.realm not in body
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Server"] == "wpool"
                assert "Access-Control-Allow-Origin" not in answer.headers
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
        async with page.session.post(f"{page.root}pool/{namespace}/thumbs/restart", headers=headers) as answer:
            assert answer.status == 403
    async with page.session.get(page.guard.link) as answer:
        assert answer.status == 200  # who is in already is not sent away


@attack("a file beside the page's own, by a path with ..", stopped_by="files are served from a fixed list")
async def test_pages_that_are_not_there(page: Page) -> None:
    """A sentence, and no inner workings; a form that is too large is not read."""
    for path in ("nothing", "static/..%2fserver.py", "static/secret", "pool/a"):
        async with page.session.get(page.root + path) as answer:
            assert answer.status == 404
            assert "There is no such page." in await answer.text()
    headers = {"Origin": page.origin}
    async with page.session.post(
        f"{page.root}pool/a/b/throttle", data={"rate": "x" * 10_000}, headers=headers
    ) as answer:
        assert answer.status == 413


async def test_the_cost_needs_a_prometheus(page: Page, access: ClusterAccess) -> None:
    """Without one the page says which; one that does not answer is said, too."""
    assert "wpool ui --prometheus" in await page.get("cost")
    async with served(access, prometheus="http://127.0.0.1:9") as guard, Page(guard) as other:
        assert "cannot be asked" in await other.get("cost?window=1d")


async def test_the_log_says_why_it_is_silent(page: Page, kube: Kube, namespace: str) -> None:
    """Here no kubelet runs the pods, so there is nothing to read."""
    await pool(kube, namespace)
    await pod(kube, namespace, "thumbs-1")
    for log, line in (("nobody", "no such pod"), ("*", "thumbs-1 has no log yet"), ("thumbs-1", "not started yet")):
        page.log.clear()
        async with page.live(f"live/pool/{namespace}/thumbs?log={log}") as messages:
            async for _ in messages:
                if page.log:
                    break
        assert line in page.log[0]


async def test_nothing_is_left_when_it_ends(access: ClusterAccess, namespace: str) -> None:
    """Also while a browser looks."""
    async with served(access) as guard:
        page = await Page(guard).__aenter__()
        stream = await page.session.get(page.root + "live/pools")
    await page.session.close()
    stream.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as session, session.get(guard.link):
            pass


async def test_an_api_server_that_is_away_for_a_while(
    plane: ControlPlane, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A banner says so, though its connections hang without a word; then the page goes on by itself."""
    be_patient(monkeypatch, seconds=8.0)  # longer than a busy machine stands still, and not too long to be waited for
    await pool(kube, namespace, scaling={"desired": 1, "depth": 5})
    access = await ClusterAccess.find(plane.kubeconfig)
    address = urllib.parse.urlsplit(access.server)
    assert address.port is not None
    async with Proxy(address.port) as proxy:
        access.configuration.host = f"https://{address.hostname}:{proxy.port}"
        row = f"pool:{namespace}/thumbs"
        said: list[str] = []
        async with served(access, namespace=namespace, tell=said.append) as guard, Page(guard) as page:
            await page.until("live/pools?since=0", text=">5<", within=row)
            assert said == []
            proxy.freeze()
            assert "does not answer" in await page.until("live/pools?since=0", text="does not", within="banner")
            assert "thumbs" in await page.get(f"pool/{namespace}/thumbs")
            patch = {"status": {"scaling": {"depth": 8_123}}}
            await kube.merge_patch(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"), patch, subresource="status")
            proxy.thaw()
            await page.until("live/pools?since=0", text=">8123<", within=row)
            async with page.live("live/pools?since=0") as messages:
                async for _ in messages:
                    if "does not answer" not in page.shown["banner"]:
                        break
            await until(lambda: "" in said)
        assert "does not answer" in said[0]


async def test_an_api_server_with_another_certificate(access: ClusterAccess, tmp_path: Path) -> None:
    """It answers, and is not asked: the page says what does not fit and what to do, and so does the terminal."""
    access.configuration.ssl_ca_cert = str(Authority(tmp_path / "another").ca)
    said: list[str] = []
    async with served(access, tell=said.append) as guard, Page(guard) as page:
        banner = await page.until("live/pools?since=0", text="certificate", within="banner")
        assert "certificate does not fit (unable to get local issuer certificate)" in banner
        assert "certificate-authority of your kubeconfig" in banner
        assert "does not answer" not in banner
        await until(lambda: bool(said))
        assert said[0].startswith("The API server's certificate does not fit")


async def test_an_api_server_that_is_away_from_the_start(access: ClusterAccess) -> None:
    """No table without a word: the page says why there is nothing in it."""
    access.configuration.host = "https://127.0.0.1:9"
    async with served(access) as guard, Page(guard) as page:
        assert "The API server does not answer" in await page.get()
