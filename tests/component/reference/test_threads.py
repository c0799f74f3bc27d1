"""The reference worker for libraries that block, in front of a receiver that behaves badly."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from reference_common.standin import StandIn
from tests.component.reference.conftest import Environment
from tests.component.reference.looking import dead, finished, repeat
from tests.component.sdk.running import serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import JobSpec, Queue, Worker
from workers.reference.threads.reference_threads import deliver as delivering
from workers.reference.threads.reference_threads.context import lifespan
from workers.reference.threads.reference_threads.deliver import deliver

pytestmark = [pytest.mark.component, pytest.mark.redis]


class Receiver:
    """Counts calls by their idempotency key."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: dict[str, object] = {}
        self.connections: set[object] = set()
        self.failures = 0
        self.let_go = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.calls[key] += 1
        self.bodies[key] = await request.json()
        self.connections.add(request.transport)
        if request.path == "/hangs" and self.calls[key] == 1:
            await self.let_go.wait()
        if request.path == "/flaky" and self.failures:
            self.failures -= 1
            return web.Response(status=503)
        if request.path == "/moved":
            return web.Response(status=307, headers={"Location": "/good"})
        return web.Response(status={"/refuses": 422, "/busy": 429}.get(request.path, 200), text="thanks")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver, application = Receiver(), web.Application()
    application.router.add_post("/{path:.*}", receiver.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    receiver.let_go.set()
    await runner.cleanup()


@pytest_asyncio.fixture
async def worker(contract: Environment, standin: StandIn) -> AsyncIterator[Worker]:
    """The reference worker, in this process."""
    contract()
    worker = Worker(lifespan=lifespan, health_port=0, metrics_port=0)
    worker.job("deliver", timeout=20, kind="thread")(deliver)
    async with serving(worker):
        yield worker


@pytest.mark.usefixtures("worker")
async def test_calls_are_made_and_not_repeated_after_their_answer(
    queue: Queue, receiver: Receiver, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    payload = {"url": f"{receiver.url}/good", "body": {"paid": True}}
    await queue.enqueue_many([JobSpec("deliver", payload, job_id=f"d-{n}") for n in range(20)])
    await until(lambda: finished(queue), what="all delivered")
    assert receiver.calls == {f"d-{n}": 1 for n in range(20)}
    assert receiver.bodies["d-7"] == {"paid": True}
    assert json.loads(standin.blobs.get("receipts/d-7.json"))["status"] == 200
    assert len(receiver.connections) <= 4, "a connection for each thread serves all its jobs"
    repeat(redis_server, redis_stream, "deliver", json.dumps(payload), job_id="d-7")
    await until(lambda: finished(queue), what="the repeated job done")
    assert receiver.calls["d-7"] == 1


@pytest.mark.usefixtures("worker")
async def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(
    queue: Queue, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By which the receiver knows that it has acted: whether it has, the caller cannot know."""
    monkeypatch.setattr(delivering, "READ_SECONDS", 3.0)
    await queue.enqueue("deliver", {"url": f"{receiver.url}/hangs", "body": None}, job_id="d")
    await until(lambda: finished(queue), what="delivered in the end")
    assert receiver.calls == {"d": 2}


@pytest.mark.usefixtures("worker")
async def test_a_receiver_in_trouble_is_called_again(queue: Queue, receiver: Receiver, standin: StandIn) -> None:
    receiver.failures = 2
    await queue.enqueue("deliver", {"url": f"{receiver.url}/flaky", "body": 1}, job_id="f")
    await until(lambda: finished(queue), what="delivered in the end")
    assert receiver.calls == {"f": 3}
    assert standin.keys("receipts") == ["receipts/f.json"]


@pytest.mark.usefixtures("worker")
async def test_a_call_that_will_never_be_taken_is_rejected(
    queue: Queue, receiver: Receiver, standin: StandIn, redis_server: RedisServer, redis_stream: str
) -> None:
    for path in ("/refuses", "/moved"):
        await queue.enqueue("deliver", {"url": receiver.url + path, "body": 1}, job_id=path.strip("/"))
    await queue.enqueue("deliver", "no url")
    await until(lambda: finished(queue), what="all rejected")
    assert receiver.calls == {"refuses": 1, "moved": 1}
    errors = dead(redis_server, redis_stream)
    assert [sum(text in error for error in errors) for text in ("422", "307", "must name")] == [1, 1, 1]
    assert standin.keys("receipts") == []


@pytest.mark.usefixtures("worker")
async def test_a_receiver_that_stays_busy_is_given_up_after_all_attempts(
    queue: Queue, receiver: Receiver, redis_server: RedisServer, redis_stream: str
) -> None:
    await queue.enqueue("deliver", {"url": f"{receiver.url}/busy", "body": 1}, job_id="b")
    await until(lambda: finished(queue), what="it was given up")
    assert receiver.calls == {"b": 3}
    assert ["429" in error for error in dead(redis_server, redis_stream)] == [True]
