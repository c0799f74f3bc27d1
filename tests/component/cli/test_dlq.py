"""`wpool dlq` at a real API server and a real Redis; the kubelet that runs the Job's pod is played."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.played_job import PlayedJobs
from tests.component.cli.played_loki import played_loki
from tests.component.cli.running import Shown, of_nobody, of_somebody, wpool
from tests.support.apiserver import eventually
from tests.support.crds import kubectl
from tests.support.kubelet import played_kubelet
from tests.support.pools import pool_body
from tests.support.redis import RedisServer
from workerpool import Queue
from workerpool.broker import DeadLetter, DeathReason
from workerpool.telemetry import fates
from workerpool_operator.domain.desired.names import COLLECTOR_NAME
from workerpool_operator.kube import Kube, kinds

pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.redis,
    pytest.mark.usefixtures("crds"),
]


def collector(namespace: str) -> dict[str, Any]:
    """What of the namespace's collector is needed: its image."""
    labels = {"a": "collector"}
    pod = {"containers": [{"name": "collector", "image": "registry.example/operator:1"}]}
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    metadata = {"name": COLLECTOR_NAME, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@pytest.fixture
async def pool(
    plane: ControlPlane, kube: Kube, namespace: str, redis_server: RedisServer, redis_stream: str
) -> AsyncIterator[PlayedJobs]:
    """A pool with three dead jobs, in a namespace that admits restricted pods only."""
    kubectl(plane, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    stream = {"url": redis_server.url, "stream": redis_stream, "group": "g"}
    await kube.create(pool_body(namespace=namespace, queues=[{"name": "main", "redisStream": stream}]))
    await kube.create(collector(namespace))
    await bury(redis_server.url, redis_stream)
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        played = PlayedJobs(plane, kube, kubelet, namespace)
        task = asyncio.create_task(played.run())
        yield played
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def bury(url: str, stream: str) -> None:
    async with Queue.connect(url, stream=stream, group="g") as queue:
        for number in range(3):
            await queue.enqueue("resize", {"secret": number}, job_id=f"job-{number}", tenant="acme")
        taken = await queue._broker.take(limit=3, wait=5)
        reasons = [DeathReason.REJECTED, DeathReason.MAX_ATTEMPTS, DeathReason.REJECTED]
        letters = [
            DeadLetter(job, reason, error="no \x1b[2J way", traceback="tb", version=version, worker="w")
            for job, reason, version in zip(taken, reasons, ("v1", "v1", "v2"), strict=True)
        ]
        await queue._broker.dead_letter(letters)


async def dlq(plane: ControlPlane, namespace: str, *words: str, **more: Any) -> Shown:
    return await wpool(plane, "dlq", *words, "-n", namespace, **more)


async def test_dead_letters_are_listed_shown_redriven_and_purged(
    plane: ControlPlane, kube: Kube, namespace: str, pool: PlayedJobs
) -> None:
    """One story, since each step takes a Job: and of the Jobs nothing stays."""
    listed = await dlq(plane, namespace, "list", "thumbs")
    assert listed.returncode == 0, listed.stderr
    _, *lines = listed.stdout.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["main", "job-0", "resize", "rejected"],
        ["main", "job-1", "resize", "max_attempts"],
        ["main", "job-2", "resize", "rejected"],
    ]
    assert "\x1b" not in listed.stdout
    assert "secret" not in listed.stdout

    shown = await dlq(plane, namespace, "show", "thumbs", "job-1", "-o", "json")
    [letter] = json.loads(shown.stdout)
    assert (letter["payload"], letter["traceback"], letter["tenant"]) == ('{"secret":1}', "tb", "acme")

    dry = await dlq(plane, namespace, "redrive", "thumbs", "--reason", "rejected", "--dry-run")
    assert dry.stdout == "queue main: 2 would wait again\n"
    of_one = await dlq(plane, namespace, "list", "thumbs", "--version", "v2", "-o", "json")
    assert [one["job_id"] for one in json.loads(of_one.stdout)] == ["job-2"]
    moved = await dlq(plane, namespace, "redrive", "thumbs", "--version", "v1", "--reason", "rejected")
    assert moved.stdout == "queue main: 1 wait again\n"
    gone = await dlq(plane, namespace, "purge", "thumbs", "--reason", "rejected", "--yes")
    assert gone.stdout == "queue main: 1 deleted\n"
    rest = await dlq(plane, namespace, "list", "thumbs", "-o", "json")
    assert [one["job_id"] for one in json.loads(rest.stdout)] == ["job-1"]
    none = await dlq(plane, namespace, "list", "thumbs", "--reason", "expired")
    assert (none.returncode, none.stderr.splitlines()[-1]) == (1, "no such dead letters")

    async def nothing_left() -> bool:
        return not await kube.list(kinds.JOB, namespace=namespace).all()

    await eventually(nothing_left, what="the end of all Jobs")
    assert "secret" not in json.dumps([one["spec"] for one in pool.pods])


async def test_a_purge_asks_before_it_loses_work(plane: ControlPlane, namespace: str, pool: PlayedJobs) -> None:
    shown = await dlq(plane, namespace, "purge", "thumbs")
    assert shown.returncode == 2
    assert "say --yes" in shown.stderr
    assert pool.pods == []


async def test_a_queue_that_cannot_be_asked_is_told(
    plane: ControlPlane, kube: Kube, namespace: str, pool: PlayedJobs
) -> None:
    stream = {"url": "redis://127.0.0.1:9", "stream": "s", "group": "g"}
    await kube.create(pool_body("away", namespace, queues=[{"name": "main", "redisStream": stream}]))
    shown = await dlq(plane, namespace, "list", "away")
    assert (shown.returncode, shown.stdout) == (3, "")
    assert "the pool's queue cannot be asked: BrokerUnavailable" in shown.stderr


async def test_without_a_collector_or_rights_a_sentence_says_so(
    plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Any
) -> None:
    await kube.create(pool_body(namespace=namespace))
    shown = await dlq(plane, namespace, "list", "thumbs")
    assert shown.returncode == 3
    assert "does the operator run?" in shown.stderr
    shown = await dlq(plane, namespace, "list", "thumbs", kubeconfig=of_nobody(plane, namespace, tmp_path))
    assert shown.returncode == 3
    assert "you may not do this" in shown.stderr


async def test_a_pod_that_does_not_start_is_told_and_its_job_deleted(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Nobody plays its kubelet here."""
    await kube.create(pool_body(namespace=namespace))
    await kube.create(collector(namespace))
    shown = await dlq(plane, namespace, "list", "thumbs", "--timeout", "5")
    assert shown.returncode == 3
    assert "is Pending after 5 s" in shown.stderr

    async def nothing_left() -> bool:
        return not await kube.list(kinds.JOB, namespace=namespace).all()

    await eventually(nothing_left, what="the end of the Job")


async def test_what_has_become_of_a_job_is_told(plane: ControlPlane, namespace: str, pool: PlayedJobs) -> None:
    """Of one that is dead, of one that failed and will be tried again, and of one that nobody knows."""
    dead = await wpool(plane, "job", "status", "thumbs", "job-1", "-n", namespace, "-o", "json")
    assert dead.returncode == 0, dead.stderr
    told = json.loads(dead.stdout)
    assert (told["state"], told["attempt"], told["version"], told["last_error"]) == ("dead", 1, "v1", "no \x1b[2J way")
    assert "secret" not in dead.stdout

    await pool.kubelet.start_pod(namespace, "thumbs-a-1", version="aaaaaaaa")
    line = {"event": "job failed, will be retried", "job_id": "job-9", "attempt": 2, "error": "E", "job_type": "resize"}
    await pool.kubelet.write("thumbs-a-1", json.dumps(line))
    failed = await wpool(plane, "job", "status", "thumbs", "job-9", "-n", namespace)
    assert failed.returncode == 0, failed.stderr
    words = dict(one.split(":", 1) for one in failed.stdout.splitlines())
    assert {name: value.strip() for name, value in words.items()}.items() >= {
        "state": "to be retried", "attempt": "2", "version": "aaaaaaaa", "worker": "thumbs-a-1", "last error": "E",
    }.items()  # fmt: skip

    nobody = await wpool(plane, "job", "status", "thumbs", "nobody", "-n", namespace, "-o", "json")
    assert (nobody.returncode, json.loads(nobody.stdout)["state"]) == (1, "unknown")


async def test_who_may_not_look_is_told_so(
    plane: ControlPlane, namespace: str, pool: PlayedJobs, tmp_path: Any
) -> None:
    """And never that the job is no dead letter: it is one."""
    await pool.kubelet.start_pod(namespace, "thumbs-a-1", version="aaaaaaaa")
    config = of_somebody(plane, namespace, tmp_path, verbs="get,list", resource="workerpools,pods")
    shown = await wpool(plane, "job", "status", "thumbs", "job-1", "-n", namespace, "-o", "json", kubeconfig=config)
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["state"]) == (1, "unknown")
    assert "it is no dead letter" not in told["by"]
    assert "whether it is a dead letter is not known: you may not do this: get Deployment" in told["by"]
    assert "pods/exec" in told["by"]
    assert "the right to `get` pods/log" in told["by"]
    assert "operator may not" not in shown.stdout + shown.stderr
    assert "the dead letters cannot all be asked: you may not do this" in shown.stderr


async def test_what_a_worker_that_is_gone_has_logged_comes_from_loki(
    plane: ControlPlane, namespace: str, pool: PlayedJobs
) -> None:
    async with played_loki() as loki:
        line = {"pool": "thumbs", "worker": "thumbs-z-9", "job_id": "job-8", "attempt": 3, "event": fates.DONE}
        loki.has(datetime.now(UTC) - timedelta(hours=5), json.dumps(line), namespace=namespace)
        words = ("job", "status", "thumbs", "job-8", "-n", namespace, "-o", "json")
        shown = await wpool(plane, *words, WPOOL_LOKI=loki.url)
        told = json.loads(shown.stdout)
        assert (shown.returncode, told["state"], told["attempt"], told["worker"]) == (0, "done", 3, "thumbs-z-9")
        late = await wpool(plane, *words, "--loki", loki.url, "--since", "1h")
        assert (late.returncode, json.loads(late.stdout)["state"]) == (1, "unknown")
