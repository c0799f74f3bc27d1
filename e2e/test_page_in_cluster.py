"""The page as a pod of the cluster, reached as docs/how-to/page.md says, with tokens of people of different rights."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.scene import SOON, Scene
from e2e.support.forward import forwarded
from e2e.support.kubectl import KubectlError
from e2e.support.stack import NAMESPACE, TEST_VALUES, Stack, install
from e2e.support.wait import wait_for

NAME = "workerpool-ui"
POOL = "shown"
LOOK = ("workerpools", "pods", "pods/log", "services/proxy", "events.events.k8s.io")
WATCH = "get,list,watch"


@dataclass(frozen=True)
class Page:
    """The page at a port of this machine."""

    port: int

    def ask(
        self, path: str, token: str = "", *, namespace: str = "", method: str = "GET", seconds: float = 30
    ) -> http.client.HTTPResponse:
        """The answer, still open: streams have no end."""
        headers = {"Connection": "close"} | ({"Accept": "application/json"} if method == "POST" else {})
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Wpool-Namespace": namespace} if namespace else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        connection.request(method, f"/{path}", headers=headers)
        return connection.getresponse()

    def get(self, path: str, token: str = "", *, namespace: str = "") -> tuple[int, str]:
        """Status and text."""
        with self.ask(path, token, namespace=namespace) as answer:
            return answer.status, answer.read().decode()

    def press(self, scene: Scene, verb: str, token: str) -> tuple[int, str]:
        """A button of the pool."""
        path = f"pool/{scene.namespace}/{POOL}/{verb}"
        with self.ask(path, token, namespace=scene.namespace, method="POST") as answer:
            return answer.status, answer.read().decode()

    def logged(self, scene: Scene, token: str, wanted: str) -> bool:
        """Whether a line of the pool's log comes by the stream, while that is open."""
        path = f"live/pool/{scene.namespace}/{POOL}?log=*"
        with self.ask(path, token, namespace=scene.namespace) as stream:
            until = time.monotonic() + SOON
            while time.monotonic() < until and (line := stream.readline().decode()):
                if line.startswith("data: "):
                    lines = json.loads(line.removeprefix("data: ")).get("log", [])
                    if any(wanted in one for one in lines):
                        return True
        return False


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Page]:
    """Installed by the chart, beside the operator, and reached by a port-forward."""
    install(stack.kubectl, image=stack.images.operator, values=(*TEST_VALUES, "ui.enabled=true"))
    try:
        stack.kubectl.rollout(f"deployment/{NAME}", namespace=NAMESPACE, seconds=120)
        with forwarded(stack.kubectl, NAME, 80, namespace=NAMESPACE) as port:
            yield Page(port)
    finally:
        install(stack.kubectl, image=stack.images.operator, values=TEST_VALUES)


@pytest.fixture(autouse=True)
def _pool(scene: Scene) -> None:
    """One with two workers, that has written something."""
    scene.apply(POOL, scaling={"minReplicas": 2, "maxReplicas": 2})
    scene.wait_workers(POOL, 2)


def somebody(scene: Scene, name: str, *rights: tuple[str, str]) -> str:
    """Who may do this (verbs, resource) in the namespace of the pool; the token with which they sign in."""
    where = f"--namespace={scene.namespace}"
    scene.kubectl.run("create", "serviceaccount", name, where)
    for number, (verbs, resource) in enumerate(rights):
        role = f"{name}-{number}"
        scene.kubectl.run("create", "role", role, f"--verb={verbs}", f"--resource={resource}", where)
        account = f"--serviceaccount={scene.namespace}:{name}"
        scene.kubectl.run("create", "rolebinding", role, f"--role={role}", account, where)
    return scene.kubectl.run("create", "token", name, where, "--duration=1h").strip()


def test_without_a_token_there_is_a_login_and_nothing_else(page: Page, scene: Scene) -> None:
    """Also with one that the cluster did not give out; nothing is done, and the pod itself has none."""
    status, login = page.get("")
    assert (status, "Sign in" in login) == (200, True)
    assert POOL not in login
    for path in (f"pool/{scene.namespace}/{POOL}", f"live/pool/{scene.namespace}/{POOL}", "budgets"):
        assert page.get(path) == (401, login)
        assert page.get(path, "forged.forged.forged")[0] == 401
    assert page.press(scene, "stop", "")[0] == 401
    assert page.press(scene, "stop", "forged.forged.forged")[0] == 401
    assert len(scene.workers(POOL)) == 2
    with pytest.raises(KubectlError, match="No such file"):
        scene.kubectl.run("exec", f"deployment/{NAME}", f"--namespace={NAMESPACE}", "--", "ls", "/var/run/secrets")


def test_each_sees_and_does_what_they_may(page: Page, scene: Scene) -> None:
    """One looks, with log and workers; one also stops and starts the pool; one may nothing; none sees elsewhere."""
    look = [(WATCH if "/" not in resource else "get", resource) for resource in LOOK]
    looker = somebody(scene, "looker", *look)
    changer = somebody(scene, "changer", *look, ("patch", "workerpools"))
    nobody = somebody(scene, "nobody")
    at = f"pool/{scene.namespace}/{POOL}"

    def shows(token: str, *texts: str, namespace: str = scene.namespace, path: str = at) -> None:
        def seen() -> bool:
            found = page.get(path, token, namespace=namespace)[1]
            return all(text in found for text in texts)

        wait_for(seen, seconds=60, what=f"{texts} on the page {path}")

    workers = sorted(pod["metadata"]["name"] for pod in scene.workers(POOL).values())
    shows(looker, *workers, "You may not change this pool")
    shows(changer, *workers, "Restart workers")
    shows(looker, POOL, path="")
    shows(nobody, "You may not list and watch pools here", path="")
    shows(looker, "You may not list and watch pools here", namespace=NAMESPACE, path="")
    assert workers[0] not in page.get(at, nobody, namespace=scene.namespace)[1]
    with scene.broker() as client:
        client.xadd(POOL, {"type": "sleep", "payload": '"no object"', "id": "rejected-1"})
    assert page.logged(scene, looker, "job_id=rejected-1")

    for token in (looker, nobody):
        status, told = page.press(scene, "stop", token)
        assert (status, "you may not do this" in told) == (403, True), told
    assert len(scene.workers(POOL)) == 2
    assert page.press(scene, "stop", changer)[0] == 200
    scene.wait_workers(POOL, 0)
    assert page.press(scene, "start", changer)[0] == 200
    scene.wait_workers(POOL, 2)
