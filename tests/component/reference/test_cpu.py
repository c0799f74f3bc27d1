"""The reference worker for CPU, with real processes, a real Redis and a store behind HTTP."""

import json
import os
import signal
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from e2e.cluster.ports import free_port
from reference_common.blobs import DirectoryBlobs
from reference_common.standin import StandIn, sample
from tests.component.reference.conftest import Environment
from tests.component.reference.looking import dead, finished, repeat
from tests.component.sdk.running import serving
from tests.support.collector import FakeCollector
from tests.support.pictures import bomb
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Breaker, JobSpec, Queue, Worker
from workers.reference.cpu.reference_cpu.thumbnail import thumbnail

pytestmark = [pytest.mark.component, pytest.mark.redis]

PHOTO = "samples/photo.png"


def make_worker(breaker: Breaker | None = None) -> Worker:
    worker = Worker(health_port=0, metrics_port=0)
    worker.job("thumbnail", timeout=20, kind="cpu", breaker=breaker)(thumbnail)
    return worker


@pytest_asyncio.fixture
async def worker(contract: Environment, standin: StandIn) -> AsyncIterator[Worker]:
    """The reference worker, in this process; its cpu lane is in others."""
    contract()
    worker = make_worker()
    async with serving(worker):
        yield worker


@pytest.mark.usefixtures("worker")
async def test_thumbnails_are_made_once(
    queue: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    payload = {"source": PHOTO, "width": 64, "height": 64}
    await queue.enqueue_many([JobSpec("thumbnail", payload, job_id=f"t-{n}") for n in range(10)])
    await until(lambda: finished(queue), what="all made")
    assert standin.keys("thumbnails") == sorted(f"thumbnails/t-{n}.jpg" for n in range(10))
    with Image.open(BytesIO(standin.blobs.get("thumbnails/t-7.jpg"))) as made:
        assert (made.format, made.size) == ("JPEG", (64, 48))
    read, written = standin.counts["GET 200"], standin.counts["PUT 201"]
    repeat(redis_server, redis_stream, "thumbnail", json.dumps(payload), job_id="t-7")
    await until(lambda: finished(queue), what="the repeated job done")
    assert (standin.counts["GET 200"], standin.counts["PUT 201"]) == (read, written), "it was made again"


@pytest.mark.usefixtures("worker")
async def test_what_no_attempt_can_change_is_rejected_at_once(
    queue: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    standin.blobs.put_new("text", b"hello")
    standin.blobs.put_new("bomb", bomb(60_000, 60_000))
    wishes: tuple[object, ...] = (
        None,
        {},
        {"source": 1},
        {"source": "../x"},
        {"source": PHOTO, "width": 0},
        {"source": PHOTO, "width": 1e3},
    )
    for payload in (*wishes, {"source": "text"}, {"source": "bomb"}):
        await queue.enqueue("thumbnail", payload)
    await until(lambda: finished(queue), what="all rejected")
    errors = dead(redis_server, redis_stream)
    assert len(errors) == 8
    assert sum("must name a picture" in error for error in errors) == 3
    assert sum("no key" in error for error in errors) == 1
    assert sum("whole numbers" in error for error in errors) == 2
    assert sum("not a picture" in error for error in errors) == 2
    assert sum("DecompressionBomb" in error for error in errors) == 1
    letters = redis_server.client().xrange(f"{{{redis_stream}}}:dead")
    assert {(fields[b"dead.reason"], fields[b"dead.attempts"]) for _, fields in letters} == {(b"rejected", b"1")}
    assert standin.keys("thumbnails") == []


@pytest.mark.usefixtures("worker")
async def test_a_picture_that_is_not_there_is_waited_for(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """A store may show an object late; one that never comes ends in the dead letters."""
    await queue.enqueue("thumbnail", {"source": "originals/never"})
    await until(lambda: finished(queue), what="it was given up")
    [(_, letter)] = redis_server.client().xrange(f"{{{redis_stream}}}:dead")
    assert (letter[b"dead.reason"], letter[b"dead.attempts"]) == (b"max_attempts", b"3")
    assert b"MissingError: originals/never" in letter[b"dead.error"]


async def test_a_store_may_be_a_folder(
    queue: Queue, contract: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract()
    monkeypatch.setenv("BLOBS_URL", f"file://{tmp_path}")
    store = DirectoryBlobs(tmp_path)
    store.put_new("originals/1", sample(64, 48))
    async with serving(make_worker()):
        await queue.enqueue("thumbnail", {"source": "originals/1", "width": 16}, job_id="one")
        await until(lambda: finished(queue), what="it was made")
    assert store.has("thumbnails/one.jpg")


@pytest.mark.usefixtures("worker")
async def test_a_process_that_is_killed_at_work_costs_one_attempt(
    queue: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    payload = {"source": PHOTO, "width": 640}
    await queue.enqueue_many([JobSpec("thumbnail", payload, job_id=f"t-{n}") for n in range(40)])
    await until(lambda: len(standin.keys("thumbnails")) >= 3, what="a few are made")
    processes = lane_processes()
    assert processes, "nothing was killed: that proves nothing"
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: finished(queue), what="all made")
    assert len(standin.keys("thumbnails")) == 40
    assert dead(redis_server, redis_stream) == []
    assert standin.counts["PUT 201"] == 40


async def test_while_the_store_is_away_jobs_wait_and_none_is_given_up(
    queue: Queue, contract: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("BLOBS_URL", f"http://127.0.0.1:{port}")
    breaker = Breaker(name="store", calls=4, pause=0.2, longest_pause=0.4)
    async with FakeCollector() as collector:
        contract(MAX_ATTEMPTS="5", BACKOFF_SECONDS="0.2", WORKERPOOL_COLLECTOR=collector.address)
        async with serving(make_worker(breaker)):
            payload = {"source": PHOTO, "width": 32}
            await queue.enqueue_many([JobSpec("thumbnail", payload, job_id=f"t-{n}") for n in range(20)])
            await collector.report_where(lambda report: report.paused == "circuit open: store")
            with StandIn(tmp_path, port=port) as standin:
                await until(lambda: finished(queue), what="all made")
                assert len(standin.keys("thumbnails")) == 20
    assert await queue.dead_letters() == []


def lane_processes() -> list[int]:
    """Processes of this process's cpu lane."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"workerpool.runtime.lanes.child" in line:
            found.append(int(folder.name))
    return found
