"""A pool of 10,000 pods: commands read them page by page, show what can be looked at, and say what they left out.

The API server is played: a real one takes minutes to be given so many.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from tests.support.pools import pool_body
from workerpool_operator.cli.logs import command as logs_command
from workerpool_operator.cli.main import app
from workerpool_operator.domain.desired.names import POOL_LABEL, VERSION_LABEL, WORKER

pytestmark = pytest.mark.component

PODS = 10_000
BORN = "2026-01-02T03:04:05Z"
NEWEST = f"thumbs-{PODS - 1:05}"


def pod(number: int) -> dict[str, Any]:
    """One that runs; a few are younger than the others."""
    labels = {POOL_LABEL: "thumbs", VERSION_LABEL: "0a1b2c3d"}
    born = BORN if number < PODS - logs_command.MOST_PODS else BORN.replace("2026", "2027")
    metadata = {"name": f"thumbs-{number:05}", "namespace": "media", "labels": labels, "creationTimestamp": born}
    state = {"name": WORKER, "ready": True, "restartCount": 0, "state": {"running": {"startedAt": BORN}}}
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "containerStatuses": [state], "conditions": conditions}
    container = {"name": WORKER, "image": "thumbs:1", "env": [{"name": f"V{n}", "value": "x" * 20} for n in range(20)]}
    return {"metadata": {**metadata, "uid": f"{number}"}, "spec": {"containers": [container]}, "status": status}


class PlayedServer:
    """As much of an API server as these commands ask."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.executed: list[str] = []
        """Names of pods in which something was to be run."""
        self._pods = [pod(number) for number in range(PODS)]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/apis/workerpool.dev/v1alpha1/namespaces/media/workerpools/thumbs", self._pool)
        app.router.add_get("/apis/events.k8s.io/v1/namespaces/media/events", self._events)
        app.router.add_get("/api/v1/namespaces/media/pods", self._page)
        app.router.add_get("/api/v1/namespaces/media/pods/{pod}", self._one)
        app.router.add_get("/api/v1/namespaces/media/pods/{pod}/exec", self._exec)
        app.router.add_get("/api/v1/namespaces/media/pods/{pod}/log", self._log)
        app.router.add_get("/api/v1/namespaces/media/pods/{pod}/proxy/metrics", self._metrics)
        return app

    async def _pool(self, _: web.Request) -> web.Response:
        body = pool_body()
        return web.json_response({**body, "status": {"replicas": PODS, "readyReplicas": PODS}})

    async def _events(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "EventList", "metadata": {}, "items": []})

    async def _page(self, request: web.Request) -> web.Response:
        self.asked["pods"] += 1
        begin, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        end = begin + limit
        metadata = {"resourceVersion": "1"} | ({"continue": str(end)} if end < PODS else {})
        return web.json_response({"kind": "PodList", "metadata": metadata, "items": self._pods[begin:end]})

    async def _log(self, request: web.Request) -> web.Response:
        self.asked["log"] += 1
        name = request.match_info["pod"]
        told = json.dumps({"event": "resizing", "job_id": "4711", "attempt": 3})
        return web.Response(text=f"{BORN} {told if name == NEWEST else f'hello from {name}'}\n")

    async def _one(self, request: web.Request) -> web.Response:
        self.asked["pod"] += 1
        return web.json_response(self._pods[int(request.match_info["pod"].removeprefix("thumbs-"))])

    async def _exec(self, request: web.Request) -> web.Response:
        self.executed.append(request.match_info["pod"])
        return web.Response(status=403)

    async def _metrics(self, _: web.Request) -> web.Response:
        self.asked["metrics"] += 1
        return web.Response(text="# TYPE worker_jobs_in_progress gauge\nworker_jobs_in_progress 3\n")


@pytest.fixture(scope="module")
def played() -> PlayedServer:
    """Made once: it has much to remember."""
    return PlayedServer()


@pytest_asyncio.fixture
async def kubeconfig(played: PlayedServer, tmp_path: Path) -> AsyncIterator[Path]:
    """That of somebody who may read all of it."""
    played.asked.clear()
    async with TestServer(played.app()) as server:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "many",
            "contexts": [{"name": "many", "context": {"cluster": "many", "user": "me", "namespace": "media"}}],
            "clusters": [{"name": "many", "cluster": {"server": str(server.make_url("")).rstrip("/")}}],
            "users": [{"name": "me", "user": {"token": "t"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        yield path


async def wpool(kubeconfig: Path, *words: str) -> Any:
    """In this process, beside the server that it asks."""
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env={"KUBECONFIG": str(kubeconfig)})
    assert done.exit_code == 0, (done.stderr, done.exception)
    return done


async def test_describe_counts_them(kubeconfig: Path, played: PlayedServer) -> None:
    """In pages of 500, as one answer with all of them would be too large."""
    assert f"{PODS} Ready" in (await wpool(kubeconfig, "describe", "thumbs")).stdout
    assert played.asked["pods"] == PODS / 500


async def test_top_asks_a_hundred_of_them(kubeconfig: Path, played: PlayedServer) -> None:
    """Twice each, for their rates; and says so."""
    shown = await wpool(kubeconfig, "top", "thumbs")
    assert len(shown.stdout.splitlines()) == 1 + 100
    assert f"100 of {PODS} workers are shown" in shown.stderr
    assert played.asked["metrics"] == 200


async def test_logs_reads_the_newest_of_them(kubeconfig: Path, played: PlayedServer) -> None:
    """A line of each, and how many were not read."""
    shown = await wpool(kubeconfig, "logs", "thumbs", "--tail", "1")
    assert len(shown.stdout.splitlines()) == logs_command.MOST_PODS == played.asked["log"]
    assert NEWEST in shown.stdout
    assert f"only the newest {logs_command.MOST_PODS} of {PODS} workers are read" in shown.stderr


async def test_job_status_looks_at_the_newest_of_them(kubeconfig: Path, played: PlayedServer) -> None:
    """At the logs of 500, and at what 50 of them are doing; and says how many those are of how many."""
    played.executed.clear()
    shown = await wpool(kubeconfig, "job", "status", "thumbs", "4711", "--output", "json")
    told = json.loads(shown.stdout)
    assert (told["state"], told["attempt"], told["worker"]) == ("started", 3, NEWEST)
    assert played.asked["log"] == logs_command.MOST_PODS
    assert set(played.executed) == {f"thumbs-{PODS - number:05}" for number in range(1, 51)}
    assert f"only the newest 50 of {PODS} workers were asked" in told["by"]
    assert "50 of 10000 workers did not answer" in told["by"]
    assert "you may not run anything there" in told["by"]
