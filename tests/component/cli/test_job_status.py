"""`wpool job status` at a real API server and a real Redis; the kubelet that runs pods is played."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.dead_letters import pool_of_dead
from tests.component.cli.played_job import PlayedJobs
from tests.component.cli.played_loki import played_loki
from tests.component.cli.running import deployed_operator, of_somebody, wpool
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import Queue
from workerpool.telemetry import fates
from workerpool_operator.kube import Kube

PROGRAM = Path(__file__).parents[1] / "sdk" / "worker_program.py"
pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.redis,
    pytest.mark.usefixtures("crds"),
]


@pytest.fixture
async def pool(
    plane: ControlPlane, kube: Kube, namespace: str, redis_server: RedisServer, redis_stream: str
) -> AsyncIterator[PlayedJobs]:
    async with pool_of_dead(plane, kube, namespace, url=redis_server.url, stream=redis_stream) as pool:
        yield pool


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


async def test_of_a_job_that_waits_nothing_is_known_and_that_is_said(
    plane: ControlPlane, namespace: str, pool: PlayedJobs, redis_server: RedisServer, redis_stream: str
) -> None:
    """Brokers do not find a job by its id; and it is not said to be done, dead or gone."""
    async with Queue.connect(redis_server.url, stream=redis_stream, group="g") as queue:
        await queue.enqueue("work", {"seconds": 0}, job_id="waits")
        shown = await wpool(plane, "job", "status", "thumbs", "waits", "-n", namespace, "-o", "json")
        assert (await queue.depth()).waiting == 1
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["state"], told["attempt"]) == (1, "unknown", None)
    assert told["by"].startswith("no worker runs it; it is no dead letter; no worker that is there has logged anything")


async def test_of_a_job_that_went_well_at_once_nothing_is_known(
    *,
    plane: ControlPlane,
    namespace: str,
    pool: PlayedJobs,
    redis_server: RedisServer,
    redis_stream: str,
    tmp_path: Path,
) -> None:
    """A worker on the SDK does it, and logs no line of it: so nobody says that it waits, or is lost."""
    env = {
        "WORKERPOOL_NAME": "thumbs", "WORKERPOOL_VERSION": "aaaaaaaa", "WORKERPOOL_POD": "thumbs-a-1",
        "QUEUE_MAIN_URL": redis_server.url, "QUEUE_MAIN_STREAM": redis_stream, "QUEUE_MAIN_GROUP": "g",
        "RECORD_URL": redis_server.url, "RECORD_KEY": redis_stream,
    }  # fmt: skip
    worker = WorkerProcess(PROGRAM, env, log=tmp_path / "worker.log").wait_ready()
    try:
        async with Queue.connect(redis_server.url, stream=redis_stream, group="g") as queue:
            await queue.enqueue("work", {"seconds": 0}, job_id="fine")
            done = redis_server.client()
            await until(lambda: done.hget(f"{redis_stream}:done", "fine") == b"1", what="the end of the job")
            done.close()
    finally:
        worker.end()
    await pool.kubelet.start_pod(namespace, "thumbs-a-1", version="aaaaaaaa")
    for line in worker.output.splitlines():
        await pool.kubelet.write("thumbs-a-1", line)
    shown = await wpool(plane, "job", "status", "thumbs", "fine", "-n", namespace, "-o", "json")
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["state"]) == (1, "unknown")
    assert "it is no dead letter; no worker that is there has logged anything of it" in told["by"]
    whole = await wpool(plane, "logs", "thumbs", "-n", namespace)
    assert '"listening"' in worker.output
    assert "listening" in whole.stdout, "the log was there to be read"


@pytest.mark.parametrize("release", ["0.0.9", ""], ids=["older", "absent"])
async def test_it_needs_no_operator(
    plane: ControlPlane, kube: Kube, namespace: str, pool: PlayedJobs, release: str
) -> None:
    """Nor does `wpool logs`: what workers wrote, and what lies in the queue, is there without one."""
    await pool.kubelet.start_pod(namespace, "thumbs-a-1", version="aaaaaaaa")
    line = {"event": fates.FAILED, "job_id": "job-9", "attempt": 2, "error": "E", "job_type": "resize"}
    await pool.kubelet.write("thumbs-a-1", json.dumps(line))

    async def told() -> list[tuple[int, str]]:
        asked = (("job", "status", "thumbs", "job-9"), ("job", "status", "thumbs", "job-1"), ("logs", "thumbs"))
        shown = [await wpool(plane, *words, "-n", namespace) for words in asked]
        return [(one.returncode, one.stdout) for one in shown]

    if release:
        async with deployed_operator(kube, namespace, release=release):
            (failed, state), (dead, letter), (logs, lines) = await told()
    else:
        (failed, state), (dead, letter), (logs, lines) = await told()
    assert (failed, dead, logs) == (0, 0, 0)
    assert "to be retried" in state
    assert "it is a dead letter" in letter
    assert fates.FAILED in lines
