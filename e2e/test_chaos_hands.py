"""`wpool chaos` as people have it, by the Kubernetes API alone and with their own rights: on real pods.

`test_chaos.py` plays the same table with hands that reach the machine; here are those that no other test tries.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.chaos.parts import BROKER, PARTS, Part
from e2e.chaos.play import keep_on_disk, ready_pool, wish_for
from e2e.cli import wpool
from e2e.scene import Scene, new_scene
from e2e.support.kubectl import Json
from e2e.support.stack import NAMESPACE, Stack
from workerpool_operator.cli.chaos.judge import Tally
from workerpool_operator.cli.chaos.marks import ALLOWED, ALLOWED_LABEL, BROKEN_LABEL, UNDO_ANNOTATION
from workerpool_operator.cli.chaos.probe import probing

DOWNSTREAM = "prices"
PORT = 8080
_SERVER = f"""
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
ThreadingHTTPServer(("", {PORT}), SimpleHTTPRequestHandler).serve_forever()
"""
ALL = "networkpolicies,services,pods,jobs"
pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def ring(stack: Stack) -> Iterator[Scene]:
    """A namespace that has allowed it, whose Redis keeps its jobs, and whose collector stays."""
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
        keep_on_disk(scene)
        scene.apply("resident")
        _allow(scene, scene.namespace)
        yield scene


@pytest.fixture(autouse=True)
def _pools_go(ring: Scene) -> Iterator[None]:
    """Those of a test, with their workers, so that the next one has the machine."""
    yield
    ring.kubectl.delete("workerpool", *(ring.made - {"resident"}), namespace=ring.namespace)
    ring.made = {"resident"}


@pytest.fixture
def operator_too(ring: Scene) -> Iterator[None]:
    """The operator's namespace has allowed it as well."""
    _allow(ring, NAMESPACE)
    yield
    ring.kubectl.run("label", "namespace", NAMESPACE, f"{ALLOWED_LABEL}-")


def test_a_broker_is_killed_from_within(ring: Scene, tmp_path: Path) -> None:
    """It starts again with its data: no job is lost, and no worker restarted."""
    ready_pool(ring, "broker", _plain())
    row = _played(ring, tmp_path, "broker-killed", "broker", "--broker", BROKER, *_fed(ring, "broker"))
    assert row["jobs_lost"] == 0
    assert "SIGKILL to pod of the broker" in row["observed"]
    assert "no other worker is restarted" in row["observed"]


def test_what_handlers_call_is_led_through_a_slow_proxy(ring: Scene, tmp_path: Path) -> None:
    """The Service is afterwards as it was, and the proxy gone."""
    ring.kubectl.apply(*_downstream(ring))
    ring.kubectl.rollout(f"deployment/{DOWNSTREAM}", namespace=ring.namespace)
    before = _spec(ring)
    url = f"http://{DOWNSTREAM}.{ring.namespace}.svc:{PORT}/"
    ready_pool(ring, "slow", Part(hands=_plain().hands, env={"DOWNSTREAM": url}))
    words = ("--service", DOWNSTREAM, "--delay-ms", "500", *_fed(ring, "slow"))
    row = _played(ring, tmp_path, "slow-downstream", "slow", *words)
    assert row["jobs_lost"] == 0
    assert _spec(ring) == before
    _assert_nothing_left(ring)


def test_a_lock_is_held_by_a_job_in_the_cluster(ring: Scene, tmp_path: Path) -> None:
    """With the pool's own credentials; jobs of PostgreSQL wait, and go on when the Job is gone."""
    if ring.stack.cluster.provider != "local":
        pytest.skip("the PostgreSQL is a process of this machine")
    row, tally = asyncio.run(_locked(ring, tmp_path))
    assert "held by Job" in row["observed"]
    assert "jobs wait" in row["observed"]
    assert "NOT" not in row["observed"]
    assert tally.lost == 0
    _assert_nothing_left(ring)


@pytest.mark.usefixtures("operator_too")
def test_a_policy_that_nobody_enforces_is_told_and_taken_back(ring: Scene, tmp_path: Path) -> None:
    """It is not called a success that nothing was broken; where policies are enforced, all is as expected."""
    pool = "cut"
    ready_pool(ring, pool, _plain())
    before = _policies(ring)
    enforced = ring.stack.cluster.provider == "kind"
    code = 0 if enforced else 1
    row = _played(ring, tmp_path, "api-server-partitioned", pool, *_fed(ring, pool), code=code)
    assert ("NOT so: it took effect" in row["observed"]) is not enforced, row
    assert row["jobs_lost"] == 0
    assert _policies(ring) == before
    _assert_nothing_left(ring)


async def _locked(scene: Scene, folder: Path) -> tuple[Json, Tally]:
    """Jobs are fed beside the command, which feeds a Redis only."""
    async with PARTS["database-lock-held"](scene, "locked") as part:
        await asyncio.to_thread(ready_pool, scene, "locked", part)
        async with probing(wish_for(scene, "locked", part)) as jobs:
            row = await asyncio.to_thread(_played, scene, folder, "database-lock-held", "locked", "--for", "20")
            return row, await jobs.finish(seconds=120)


def _played(scene: Scene, folder: Path, scenario: str, pool: str, *words: str, code: int = 0) -> Json:
    """The row that the command writes; it ends with this code."""
    outcome = folder / f"{scenario}.json"
    where = ("--namespace", scene.namespace, "--yes", "--json", str(outcome))
    shown: subprocess.CompletedProcess[str] = wpool(scene, "chaos", scenario, pool, *where, *words, seconds=420)
    assert shown.returncode == code, shown.stdout + shown.stderr
    row: Json
    [row] = json.loads(outcome.read_text())
    return row


def _fed(scene: Scene, stream: str) -> tuple[str, ...]:
    return "--url", scene.url, "--stream", stream, "--rate", "4"


def _plain() -> Part:
    def none(_: Any) -> Any:
        raise AssertionError("the command has its own")

    return Part(hands=none)


def _allow(scene: Scene, namespace: str) -> None:
    scene.kubectl.run("label", "namespace", namespace, f"{ALLOWED_LABEL}={ALLOWED}", "--overwrite")


def _policies(scene: Scene) -> dict[str, Json]:
    """Of both namespaces: what they allow, and what is written on them."""
    return {
        f"{where}/{one['metadata']['name']}": {
            "spec": one["spec"],
            "undo": one["metadata"].get("annotations", {}).get(UNDO_ANNOTATION),
        }
        for where in (scene.namespace, NAMESPACE)
        for one in scene.kubectl.list("networkpolicies", namespace=where)
    }


def _assert_nothing_left(scene: Scene) -> None:
    for where in (scene.namespace, NAMESPACE):
        found = scene.kubectl.list(ALL, namespace=where, selector=BROKEN_LABEL)
        assert not [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]


def _spec(scene: Scene) -> Json:
    service = scene.kubectl.get("service", DOWNSTREAM, namespace=scene.namespace)
    assert service is not None
    assert BROKEN_LABEL not in service["metadata"].get("labels", {})
    return {key: service["spec"][key] for key in ("selector", "ports")}


def _downstream(scene: Scene) -> list[Json]:
    """A Service that handlers may call, with one pod behind it."""
    labels = {"app": DOWNSTREAM}
    metadata = {"name": DOWNSTREAM, "namespace": scene.namespace}
    container = {
        "name": "server",
        "image": scene.stack.images.worker,
        "command": ["python", "-c", _SERVER],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": PORT}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]
