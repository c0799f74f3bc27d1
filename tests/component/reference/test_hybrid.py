"""Two stages with a queue between them: what becomes of a picture when a stage dies, or the second queue is full."""

import json
import re
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from reference_common.standin import StandIn
from tests.component.reference.conftest import Environment
from tests.component.reference.looking import dead, finished, repeat
from tests.component.sdk.running import environment, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import ConfigurationError, Job, JobSpec, Queue, Worker
from workers.reference.cpu.reference_cpu.thumbnail import thumbnail
from workers.reference.hybrid.reference_hybrid import download as downloading
from workers.reference.hybrid.reference_hybrid.context import lifespan, open_next
from workers.reference.hybrid.reference_hybrid.download import download

pytestmark = [pytest.mark.component, pytest.mark.redis]

MAX_DEPTH = 4


@pytest_asyncio.fixture
async def second(redis_server: RedisServer, redis_stream: str) -> AsyncIterator[Queue]:
    """The queue between the stages."""
    async with Queue.connect(redis_server.url, stream=f"{redis_stream}-2") as queue:
        yield queue


@pytest_asyncio.fixture
async def first_stage(
    contract: Environment, redis_server: RedisServer, redis_stream: str, standin: StandIn
) -> AsyncIterator[Worker]:
    """The worker that downloads."""
    contract(NEXT_URL=redis_server.url, NEXT_STREAM=f"{redis_stream}-2", NEXT_MAX_DEPTH=str(MAX_DEPTH))
    worker = Worker(lifespan=lifespan, health_port=0, metrics_port=0)
    worker.job("download", timeout=20)(download)
    async with serving(worker):
        yield worker


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first stage that does not wait long for room in the second queue."""
    monkeypatch.setattr(downloading, "ROOM_SECONDS", 0.1)


@pytest.fixture
def second_stage(redis_server: RedisServer, redis_stream: str) -> Callable[[], Worker]:
    """Makes the worker that draws."""

    def make() -> Worker:
        worker = Worker(health_port=0, metrics_port=0, env=environment(redis_server, f"{redis_stream}-2"))
        worker.job("thumbnail", timeout=20, kind="cpu")(thumbnail)
        return worker

    return make


@pytest.mark.usefixtures("first_stage")
async def test_pictures_go_through_both_stages(
    queue: Queue, second: Queue, standin: StandIn, second_stage: Callable[[], Worker]
) -> None:
    """More of them than the second queue may hold: the first stage waits for room, and none fails."""
    payload = {"url": f"{standin.url}/samples/photo.png", "width": 32, "height": 32}
    await queue.enqueue_many([JobSpec("download", payload, job_id=f"p-{n}") for n in range(5 * MAX_DEPTH)])
    async with serving(second_stage()):
        await until(lambda: finished(queue), what="all downloaded")
        await until(lambda: finished(second), what="all drawn")
    names = sorted(f"p-{n}" for n in range(5 * MAX_DEPTH))
    assert standin.keys("originals") == [f"originals/{name}" for name in names]
    assert standin.keys("thumbnails") == [f"thumbnails/{name}.jpg" for name in names]


@pytest.mark.usefixtures("first_stage")
async def test_the_next_job_carries_a_key_and_no_picture(
    queue: Queue, second: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    payload = {"url": f"{standin.url}/samples/photo.png", "width": 32}
    await queue.enqueue("download", payload, job_id="p")
    await until(lambda: finished(queue), what="downloaded")
    [(_, entry)] = redis_server.client().xrange(f"{redis_stream}-2")
    assert (entry[b"type"], entry[b"id"]) == (b"thumbnail", b"p")
    assert json.loads(entry[b"payload"]) == {"source": "originals/p", "width": 32}
    assert standin.blobs.get("originals/p") == standin.blobs.get("samples/photo.png")


@pytest.mark.usefixtures("first_stage")
async def test_whose_job_it_is_and_how_urgent_holds_for_both_stages(
    queue: Queue, second: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    taken: list[tuple[str, str]] = []
    env = environment(redis_server, f"{redis_stream}-2")
    worker = Worker(health_port=0, metrics_port=0, env=env)

    @worker.job("thumbnail")
    async def thumbnail(job: Job) -> None:
        taken.append((job.tenant, job.priority))

    payload = {"url": f"{standin.url}/samples/photo.png"}
    await queue.enqueue("download", payload, tenant="acme", priority="low")
    async with serving(worker):
        await until(lambda: taken, what="the second stage's job")
    assert taken == [("acme", "low")]


@pytest.mark.usefixtures("first_stage")
async def test_a_stage_that_died_before_the_acknowledgement_leaves_one_next_job(
    queue: Queue, second: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    """The job runs again: nothing is downloaded again, and the second queue drops a second job of the same id."""
    payload = {"url": f"{standin.url}/samples/photo.png"}
    for _ in range(3):
        repeat(redis_server, redis_stream, "download", json.dumps(payload), job_id="p")
        await until(lambda: finished(queue), what="done")
    assert (await second.depth()).waiting == 1
    assert (standin.counts["GET 200"], standin.counts["PUT 201"]) == (1, 1)


@pytest.mark.usefixtures("first_stage")
async def test_a_stage_that_died_before_it_enqueued_finds_the_picture(
    queue: Queue, second: Queue, standin: StandIn
) -> None:
    standin.blobs.put_new("originals/p", b"what the attempt before has stored")
    await queue.enqueue("download", {"url": f"{standin.url}/samples/photo.png"}, job_id="p")
    await until(lambda: finished(queue), what="done")
    assert (await second.depth()).waiting == 1
    assert "GET 200" not in standin.counts


@pytest.mark.usefixtures("first_stage", "impatient")
async def test_a_job_without_room_in_the_second_queue_fails_and_is_tried_again(
    queue: Queue, second: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    """It never goes above its bound, and what was downloaded is not downloaded again."""
    await second.enqueue_many([JobSpec("thumbnail", {"source": "samples/photo.png"})] * MAX_DEPTH)
    await queue.enqueue("download", {"url": f"{standin.url}/samples/photo.png"}, job_id="p")
    await until(lambda: dead(redis_server, redis_stream), what="it was given up after all attempts")
    assert (await second.depth()).waiting == MAX_DEPTH
    assert ["QueueFull" in error for error in dead(redis_server, redis_stream)] == [True]
    assert standin.counts["GET 200"] == 1
    redis_server.client().xtrim(f"{redis_stream}-2", maxlen=0)
    assert await queue.redrive(reason="max_attempts") == 1
    await until(lambda: finished(queue), what="room, and the job done")
    assert dead(redis_server, redis_stream) == []
    assert standin.counts["GET 200"] == 1


@pytest.mark.usefixtures("first_stage")
async def test_what_may_not_or_cannot_be_had_is_rejected(
    queue: Queue, second: Queue, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    standin.blobs.put_new("robots.txt", b"User-agent: *\nDisallow: /samples/\n")
    for url in (f"{standin.url}/samples/photo.png", f"{standin.url}/missing", "file:///etc/passwd"):
        await queue.enqueue("download", {"url": url})
    await until(lambda: finished(queue), what="all rejected")
    errors = dead(redis_server, redis_stream)
    said = (r"robots\.txt", r"\b404\b", "must name")  # a port may have these digits, too
    assert [sum(re.search(text, error) is not None for error in errors) for text in said] == [1, 1, 1]
    assert (await second.depth()).waiting == 0


@pytest.mark.parametrize(
    "env", [{}, {"NEXT_URL": "redis://r"}, {"NEXT_URL": "redis://r", "NEXT_STREAM": "s", "NEXT_MAX_DEPTH": "many"}]
)
def test_a_second_stage_that_is_not_named_is_told_at_the_start(env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        open_next(env)


async def test_the_second_queue_is_not_one_to_take_from(redis_server: RedisServer) -> None:
    following = open_next({"NEXT_URL": redis_server.url, "NEXT_STREAM": "s", "NEXT_MAX_DEPTH": "7"})
    assert (following.queue.source.stream, following.queue.source.group, following.max_depth) == ("s", "s", 7)
    await following.queue.close()
