"""`wpool logs --follow` where something is away: a node, or for a moment the API server."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.played_loki import played_loki
from tests.component.cli.running import started
from tests.support.kubelet import PlayedKubelet, played_kubelet
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli.logs import pods
from workerpool_operator.cli.logs.kept import Sought
from workerpool_operator.cli.logs.lines import Line
from workerpool_operator.kube import ClusterAccess, Kube, Listing, errors

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

EARLIER = timedelta(minutes=5)


def said(event: str, worker: str) -> str:
    return json.dumps({"pool": "thumbs", "event": event, "level": "info", "worker": worker})


@pytest.fixture
async def kubelet(plane: ControlPlane, kube: Kube, namespace: str) -> AsyncIterator[PlayedKubelet]:
    """A pool with two workers that have written a line each."""
    await kube.create(pool_body(namespace=namespace))
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        for name in ("thumbs-a-1", "thumbs-b-2"):
            await kubelet.start_pod(namespace, name)
            await kubelet.write(name, said("started", name), at=datetime.now(UTC) - EARLIER)
        yield kubelet


async def test_a_worker_whose_node_does_not_answer_is_told_of_by_loki(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet
) -> None:
    """What it wrote so far; and when its node answers again, what it has written since, and nothing twice."""
    kubelet.refusal = "the node is lost"
    async with played_loki() as loki:
        loki.has(datetime.now(UTC) - EARLIER, said("shipped", "thumbs-a-1"), namespace=namespace)
        words = ("logs", "thumbs", "-n", namespace, "--follow", "--worker", "thumbs-a-1", "-o", "json")
        process = await started(plane, *words, "--loki", loki.url)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                assert json.loads(await process.stdout.readline())["event"] == "shipped"
                await kubelet.write("thumbs-a-1", said("goes on", "thumbs-a-1"))
                kubelet.refusal = ""
                assert json.loads(await process.stdout.readline())["event"] == "goes on"
        finally:
            process.kill()
            await process.communicate()


async def test_a_short_loss_of_the_api_server_shows_no_line_twice(
    access: ClusterAccess, kube: Kube, namespace: str, kubelet: PlayedKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor those of a worker that has ended: it is still there, and all of it was shown."""
    monkeypatch.setattr(pods, "_LOOK_SECONDS", 0.05)
    await kubelet.finish(namespace, "thumbs-b-2")
    logs = pods.PodLogs(access, kube, namespace=namespace, pool="thumbs")
    listed, away, looks = logs.pods, False, 0

    def looked() -> "Listing[dict[str, object]]":
        nonlocal looks
        looks += 1
        if away:
            raise errors.Unavailable("connection reset")
        return listed()

    async def some_looks() -> None:
        before = looks
        await until(lambda: looks > before + 3)

    monkeypatch.setattr(logs, "pods", looked)
    shown, troubles = list[Line](), list[str]()
    follower = pods.Follower(show=shown.append, trouble=troubles.append)
    following = asyncio.create_task(logs.follow(Sought(), follower, chosen=lambda _: True))
    try:
        await until(lambda: kubelet.asked.count("thumbs-b-2") == 2 and "thumbs-a-1" in kubelet.following)
        await some_looks()
        away = True
        await some_looks()
        away = False
        await some_looks()
        await kubelet.write("thumbs-a-1", said("goes on", "thumbs-a-1"))
        await until(lambda: len(shown) > 2)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [(line.worker, (line.fields or {})["event"]) for line in sorted(shown, key=lambda line: line.at)] == [
        ("thumbs-a-1", "started"),
        ("thumbs-b-2", "started"),
        ("thumbs-a-1", "goes on"),
    ]
    assert troubles == []
