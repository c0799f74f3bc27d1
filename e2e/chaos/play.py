"""One scenario on real pods: a pool of its own, the play of `wpool chaos`, and other hands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from e2e.chaos.parts import PARTS, Part
from e2e.cluster.progress import say
from e2e.scene import Scene
from e2e.support import redis
from e2e.support.stack import NAMESPACE
from e2e.support.wait import wait_for
from workerpool_operator.cli.chaos.eyes import watching
from workerpool_operator.cli.chaos.hands.ground import Ground
from workerpool_operator.cli.chaos.judge import Row
from workerpool_operator.cli.chaos.play import Play
from workerpool_operator.cli.chaos.probe import Wish, probing
from workerpool_operator.cli.chaos.table import SCENARIOS
from workerpool_operator.kube import ClusterAccess, Kube

WORKERS: Final = 3
RATE: Final = 6.0
JOB_SECONDS: Final = 0.5
READY_SECONDS: Final = 120.0
PROGRAM: Final = Path(__file__).parent.parent / "support" / "chaos_worker.py"
FOLDER: Final = "/program"
ATTEMPTS: Final = 20
"""Of a job: a fault of half a minute is to end in no dead letter."""


def play(name: str, scene: Scene) -> Row:
    """Play it, from the making of a pool to its end."""
    return asyncio.run(_play(name, scene))


def keep_on_disk(scene: Scene) -> None:
    """Have the scene's Redis keep its jobs over a restart, as one of a product has to."""
    deployment, service = sorted(
        redis.manifests(scene.namespace, image=scene.stack.images.redis, node=scene.stack.cluster.nodes[0]),
        key=lambda one: str(one["kind"]),
    )
    pod = deployment["spec"]["template"]["spec"]
    pod["securityContext"]["fsGroup"] = pod["securityContext"]["runAsUser"]
    pod["volumes"] = [{"name": "data", "emptyDir": {}}]
    [container] = pod["containers"]
    container["args"] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", "/data"]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    scene.kubectl.apply(deployment, service)
    scene.kubectl.rollout(f"deployment/{redis.NAME}", namespace=scene.namespace)
    # The way to it from here led to the pod that is gone, and is taken up again.
    wait_for(lambda: _answers(scene), seconds=READY_SECONDS, what="the Redis that keeps its jobs")


def _answers(scene: Scene) -> bool:
    try:
        with scene.broker() as client:
            return "yes" in str(client.config_get("appendonly"))
    except RedisError:
        return False


async def _play(name: str, scene: Scene) -> Row:
    scenario, pool = SCENARIOS[name], f"chaos-{name}"
    async with PARTS[name](scene, pool) as part:
        try:
            # In a thread: what stands in for a broker or for a downstream lives in this loop.
            await asyncio.to_thread(ready_pool, scene, pool, part)
            access = await ClusterAccess.from_kubeconfig(scene.stack.cluster.kubeconfig)
            async with (
                Kube(access) as kube,
                watching(access, namespace=scene.namespace, pool=pool, figures=False) as eyes,
                probing(wish_for(scene, pool, part)) as jobs,
            ):
                ground = Ground(
                    access=access, kube=kube, namespace=scene.namespace, pool=pool, operator_namespace=NAMESPACE
                )
                return await Play(
                    scenario=scenario,
                    hands=part.hands(ground),
                    eyes=eyes,
                    jobs=jobs,
                    seconds=scenario.seconds,
                    tell=lambda line: say(f"{name}: {line}"),
                ).run()
        finally:
            await asyncio.to_thread(scene.kubectl.delete, "workerpool", pool, namespace=scene.namespace, wait=False)


def wish_for(scene: Scene, pool: str, part: Part) -> Wish:
    """The jobs that the pool gets."""
    return Wish(
        url=part.fed_at or scene.url,
        stream=part.stream or pool,
        rate=RATE,
        type="work",
        payload={"seconds": JOB_SECONDS, **part.payload},
        records_url=scene.url,
    )


def ready_pool(scene: Scene, pool: str, part: Part) -> None:
    """Make it, of the program that calls, writes and waits, and wait for its workers."""
    config = {"name": "chaos-worker", "namespace": scene.namespace}
    data = {PROGRAM.name: PROGRAM.read_text()}
    scene.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data})
    scene.apply(
        pool,
        redis=part.url,
        worker=_worker(part, stream=part.stream or pool, records=scene.redis.url),
        scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS},
        delivery={"maxAttempts": ATTEMPTS},
        **part.fields,
    )
    scene.wait_workers(pool, WORKERS, seconds=READY_SECONDS)


def _worker(part: Part, *, stream: str, records: str) -> dict[str, Any]:
    env = {"RECORDS_URL": records, "RECORDS": stream, **part.env}
    return {
        "command": ["python", f"{FOLDER}/{PROGRAM.name}"],
        "maxWorkers": 4,
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumes": [{"name": "program", "configMap": {"name": "chaos-worker"}}, *part.worker.get("volumes", ())],
        "volumeMounts": [{"name": "program", "mountPath": FOLDER}, *part.worker.get("volumeMounts", ())],
    }
