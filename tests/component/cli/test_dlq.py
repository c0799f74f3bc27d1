"""`wpool dlq` at a real API server and a real Redis; the kubelet that runs the Job's pod is played."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.dead_letters import collector, pool_of_dead
from tests.component.cli.played_job import PlayedJobs, SlowJobs
from tests.component.cli.running import Shown, deployed_operator, of_nobody, started, wpool
from tests.support.pools import pool_body
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool_operator.cli import cluster
from workerpool_operator.cli.dlq import command
from workerpool_operator.kube import Kube, kinds

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


@pytest.fixture
async def slow_pool(
    plane: ControlPlane, kube: Kube, namespace: str, redis_server: RedisServer, redis_stream: str
) -> AsyncIterator[PlayedJobs]:
    """One whose Jobs have moved 1,500 dead letters, and have not come to their end."""
    place = {"url": redis_server.url, "stream": redis_stream}
    async with pool_of_dead(plane, kube, namespace, played=SlowJobs, **place) as pool:
        yield pool


async def no_job_left(kube: Kube, namespace: str) -> bool:
    return not await kube.list(kinds.JOB, namespace=namespace).all()


async def dlq(plane: ControlPlane, namespace: str, *words: str, **more: Any) -> Shown:
    return await wpool(plane, "dlq", *words, "-n", namespace, **more)


@pytest.mark.timeout(400)  # eight Jobs, of which each starts a process
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
    await until(lambda: no_job_left(kube, namespace), what="the end of all Jobs")
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
    shown = await dlq(plane, namespace, "list", "thumbs", "--timeout", "15")
    assert shown.returncode == 3
    assert "is Pending after 15 s" in shown.stderr
    await until(lambda: no_job_left(kube, namespace), what="the end of the Job")


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
async def test_a_redrive_of_everything_asks_first_and_says_how_many(
    *, plane: ControlPlane, namespace: str, pool: PlayedJobs, answer: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be more at once than what the workers call can bear."""
    monkeypatch.setattr(cluster, "somebody_is_there", lambda: True)
    shown = await dlq(plane, namespace, "redrive", "thumbs", stdin=answer)
    assert shown.returncode == code, shown.stderr
    assert "Let all 3 dead letters of thumbs wait again?" in shown.stdout
    assert ("queue main: 3 wait again" in shown.stdout) is (code == 0)
    left = json.loads((await dlq(plane, namespace, "list", "thumbs", "-o", "json")).stdout)
    assert len(left) == (3 if code else 0)


async def test_a_redrive_of_nothing_asks_nobody(
    plane: ControlPlane, namespace: str, pool: PlayedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "somebody_is_there", lambda: True)
    assert (await dlq(plane, namespace, "redrive", "thumbs", "--yes")).stdout == "queue main: 3 wait again\n"
    shown = await dlq(plane, namespace, "redrive", "thumbs")
    assert (shown.returncode, shown.stdout, shown.stderr.splitlines()[-1]) == (1, "", "no such dead letters")


@pytest.mark.parametrize(("verb", "done"), [("redrive", "wait again"), ("purge", "were deleted")])
async def test_a_move_that_is_given_up_says_how_much_was_done(
    *, plane: ControlPlane, kube: Kube, namespace: str, slow_pool: PlayedJobs, verb: str, done: str
) -> None:
    """After `--timeout`: what was moved is moved."""
    shown = await dlq(plane, namespace, verb, "thumbs", "--yes", "--timeout", "15")
    said = " ".join(shown.stderr.split())
    assert shown.returncode == 3
    assert "after 15 s" in said
    look = f"`wpool dlq list thumbs -n {namespace}` shows what is left"
    assert f"Until then 1500 of queue main {done}, as far as it has said: {look}" in said
    await until(lambda: no_job_left(kube, namespace), what="the end of the Job")


async def test_a_move_that_is_interrupted_says_how_much_was_done(
    plane: ControlPlane, kube: Kube, namespace: str, slow_pool: PlayedJobs
) -> None:
    """And its Job goes with it: nobody would hear what it does."""
    process = await started(plane, "dlq", "redrive", "thumbs", "-n", namespace, "--yes")

    async def runs() -> bool:
        pods = await kube.list(kinds.POD, namespace=namespace).all()
        return [pod["status"]["phase"] for pod in pods] == ["Running"]

    await until(runs)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 130, said
    assert b"interrupted. The Job is deleted. Until then 1500 of queue main wait again" in b" ".join(said.split())
    await until(lambda: no_job_left(kube, namespace), what="the end of the Job")


async def test_an_older_image_that_does_not_know_an_option_is_told_as_such(
    plane: ControlPlane, kube: Kube, namespace: str, pool: PlayedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Job runs the image of the collector, which is of the operator's release."""
    monkeypatch.setattr(command, "_chosen", lambda *_: ["--of-a-later-release=x"])
    async with deployed_operator(kube, namespace, release="0.0.9"):
        shown = await dlq(plane, namespace, "list", "thumbs")
    said = " ".join(shown.stderr.split())
    assert shown.returncode == 3
    assert "unrecognized arguments: --of-a-later-release=x" in said
    assert "is release 0.0.9, older than this wpool" in said
