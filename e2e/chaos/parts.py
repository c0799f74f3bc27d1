"""What each scenario needs beside a pool: another queue, a proxy in front of it, a volume, a second place.

Most need nothing. Each is a context that lasts as long as its play.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from e2e.chaos import hands
from e2e.chaos.slow import Downstream
from e2e.scene import Scene, is_stopping
from e2e.servers import USER, queue_of, serving
from workerpool_operator.cli.chaos.hands.disk import FilledDisk
from workerpool_operator.cli.chaos.hands.ground import Ground
from workerpool_operator.cli.chaos.hands.kill import all_workers, busy_worker, leader
from workerpool_operator.cli.chaos.inside.delay import DelayProxy
from workerpool_operator.cli.chaos.play import Hands
from workerpool_operator.cli.chaos.table import SCENARIOS

BROKER: Final = "app=redis"
SCRATCH: Final = "/scratch"
HOST_LABEL: Final = "kubernetes.io/hostname"
FAILOVER_SECONDS: Final = 30
DELAY_SECONDS: Final = 0.3
SLOW_SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a scenario is played with."""

    hands: Callable[[Ground], Hands]
    url: str = ""
    """Where the pool's Redis is; that of the scene without it."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of the pool."""
    worker: Mapping[str, Any] = field(default_factory=dict)
    """Of the pool's `worker`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Of its workers, beside what they need to tell of jobs."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Of its jobs."""
    fed_at: str = ""
    """Where jobs are put, if that is not the Redis."""
    stream: str = ""
    """The queue's name; the pool's without it."""


Prepare = Callable[[Scene, str], AbstractAsyncContextManager[Part]]


def _plain(make: Callable[[Scene, Ground], Hands]) -> Prepare:
    @contextlib.asynccontextmanager
    async def prepare(scene: Scene, pool: str) -> AsyncIterator[Part]:
        del pool
        yield Part(hands=lambda ground: make(scene, ground))

    return prepare


@contextlib.asynccontextmanager
async def _cut(scene: Scene, pool: str) -> AsyncIterator[Part]:
    del scene, pool
    try:
        yield Part(hands=lambda ground: hands.LostWorkersToBroker(ground, broker=BROKER))
    finally:
        hands.pass_again()


@contextlib.asynccontextmanager
async def _cut_operator(scene: Scene, pool: str) -> AsyncIterator[Part]:
    del scene, pool
    try:
        yield Part(hands=hands.LostOperatorToApi)
    finally:
        hands.pass_again()


@contextlib.asynccontextmanager
async def _delayed(scene: Scene, pool: str) -> AsyncIterator[Part]:
    """The pool reaches its Redis through a proxy of this machine from the start."""
    del pool
    found = scene.kubectl.list("pods", namespace=scene.namespace, selector=BROKER)
    [broker] = [pod for pod in found if not is_stopping(pod)]
    proxy = DelayProxy(broker["status"]["podIP"], 6379, delay=0.0)
    host = machine(scene)
    await proxy.start(host, 0)

    def turn(seconds: float) -> None:
        proxy.delay = seconds

    what = f"{DELAY_SECONDS * 1000:g} ms each way between workers and their broker"
    try:
        yield Part(
            hands=lambda _: hands.Switch(turn, seconds=DELAY_SECONDS, slowed=lambda: proxy.delayed, what=what),
            url=f"redis://{host}:{proxy.port}/0",
        )
    finally:
        await proxy.stop()


@contextlib.asynccontextmanager
async def _slow(scene: Scene, pool: str) -> AsyncIterator[Part]:
    del pool
    downstream, host = Downstream(), machine(scene)
    await downstream.start(host)

    def turn(seconds: float) -> None:
        downstream.delay = seconds

    what = f"what handlers call answers {SLOW_SECONDS:g} s later"
    try:
        yield Part(
            hands=lambda _: hands.Switch(turn, seconds=SLOW_SECONDS, slowed=lambda: downstream.slowed, what=what),
            payload={"url": f"http://{host}:{downstream.port}/"},
        )
    finally:
        downstream.stop()


@contextlib.asynccontextmanager
async def _locked(scene: Scene, pool: str) -> AsyncIterator[Part]:
    """The queue is in a PostgreSQL of this machine; what its jobs tell is in the Redis."""
    serve = serving("postgres", machine(scene))
    server = await asyncio.to_thread(serve.__enter__)
    try:
        queue, stream = queue_of("postgres", url=server.url)
        for value in queue["credentials"].values():
            value["secretKeyRef"]["name"] = pool
        metadata = {"name": pool, "namespace": scene.namespace}
        data = {"username": USER, "password": server.password}
        scene.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        seconds = SCENARIOS["database-lock-held"].seconds
        yield Part(
            hands=lambda _: hands.HeldLock(url=server.url_with_user, seconds=seconds),
            fields={"queue": queue},
            fed_at=server.url_with_user,
            stream=stream,
        )
    finally:
        await asyncio.to_thread(serve.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def _full(scene: Scene, pool: str) -> AsyncIterator[Part]:
    """Each job writes into a small volume of its worker."""
    del scene, pool

    def filled(ground: Ground) -> Hands:
        return FilledDisk(replace(ground, options=replace(ground.options, path=SCRATCH, seconds=30.0)))

    volume = {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}
    yield Part(
        hands=filled,
        worker={"volumes": [volume], "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}]},
        payload={"scratch": SCRATCH},
    )


@contextlib.asynccontextmanager
async def _lost_node(scene: Scene, pool: str) -> AsyncIterator[Part]:
    del pool
    safe, doomed = scene.stack.cluster.nodes[:2]
    places = {"primary": {"nodeSelector": {HOST_LABEL: doomed}}, "secondary": {"nodeSelector": {HOST_LABEL: safe}}}
    yield Part(
        hands=lambda ground: hands.LostNode(ground, cluster=scene.stack.cluster, node=doomed),
        fields={"placement": {**places, "failoverTimeoutSeconds": FAILOVER_SECONDS}},
    )


PARTS: Final[Mapping[str, Prepare]] = {
    "worker-killed": _plain(lambda _, at: hands.Killed(at, busy_worker, what="worker", workers=True)),
    "workers-all-killed": _plain(lambda _, at: hands.Killed(at, all_workers, what="worker", workers=True)),
    "operator-killed": _plain(lambda _, at: hands.KilledLeader(at, leader)),
    "collector-killed": _plain(lambda _, at: hands.Killed(at, Ground.collectors, what="collector", workers=False)),
    "broker-killed": _plain(lambda _, at: hands.Killed(at, _redis, what="Redis", workers=False)),
    "broker-partitioned": _cut,
    "network-delay": _delayed,
    "slow-downstream": _slow,
    "database-lock-held": _locked,
    "disk-full": _full,
    "node-lost": _lost_node,
    "api-server-partitioned": _cut_operator,
}


async def _redis(ground: Ground) -> list[dict[str, Any]]:
    return await ground.pods(BROKER)


def machine(scene: Scene) -> str:
    """The address at which pods reach this machine: that of the API server, which runs here too."""
    [cluster] = yaml.safe_load(scene.stack.cluster.kubeconfig.read_text())["clusters"]
    host = urlsplit(cluster["cluster"]["server"]).hostname
    assert host
    return str(host)
