"""A job that ends its worker each time is the only one that is dead-lettered for it, on each broker."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import pytest_asyncio

from tests.support.kafka import make_topic
from tests.support.rabbitmq import wait_for_dead_letters
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess, Workers
from workerpool import JobSpec, Queue
from workerpool.runtime.solitude import RUNS_ALONE

pytestmark = [pytest.mark.component, pytest.mark.redis]
_NAMED = {"redis": "STREAM", "nats": "STREAM", "postgres": "QUEUE", "rabbitmq": "QUEUE", "kafka": "TOPIC"}


class Pool(Workers):
    """Its jobs record in Redis what they did; their queue is wherever the test has it."""

    program = Path(__file__).with_name("worker_program.py")
    contract = MappingProxyType({"MAX_WORKERS": "4", "MAX_ATTEMPTS": "3"})

    def __init__(self, place: Mapping[str, str], record: RedisServer, stream: str, folder: Path) -> None:
        super().__init__(record, stream, folder)
        self.place = place
        self.queue = Queue.from_env(env=place)

    def start(self, **env: str) -> WorkerProcess:
        return super().start(**(dict(self.place) | env))

    async def over(self) -> bool:
        """The good jobs are done, and some job is a dead letter."""
        return len(self.recorded("done")) == 7 and bool(await self.queue.dead_letters())


@pytest_asyncio.fixture(
    params=[pytest.param(kind, marks=() if kind == "redis" else getattr(pytest.mark, kind)) for kind in _NAMED]
)
async def pool(
    request: pytest.FixtureRequest,
    redis_server: RedisServer,
    redis_stream: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Pool]:
    wait_for_dead_letters(monkeypatch)
    kind: str = request.param
    url: str = request.getfixturevalue(f"{kind}_server").url
    if kind == "kafka":
        await make_topic(url, redis_stream)
    place = {
        "QUEUE_MAIN_URL": url,
        f"QUEUE_MAIN_{_NAMED[kind]}": redis_stream,
        # On NATS what lies at a worker for longer, because that stands still, has had an attempt that nobody began.
        "LEASE_SECONDS": {"kafka": "6", "nats": "4"}.get(kind, "1"),
    }
    pool = Pool(place, redis_server, redis_stream, tmp_path)
    yield pool
    await pool.end()


async def test_it_takes_none_with_it_that_was_beside_it_again_and_again(pool: Pool) -> None:
    good = [JobSpec("work", {"seconds": 0.3}, job_id=f"job-{number}") for number in range(7)]
    await pool.queue.enqueue_many([JobSpec("poison", job_id="bad"), *good])
    deaths = 0
    while True:
        worker = pool.start().wait_ready()

        async def ended(worker: WorkerProcess = worker) -> bool:
            return not worker.alive or await pool.over()

        await until(ended, what="a dead worker, or all jobs done but one")
        if worker.alive:
            break
        deaths += 1
    assert [(dead.job_id, dead.reason) for dead in await pool.queue.dead_letters()] == [("bad", "max_attempts")]
    assert (deaths, pool.recorded("begun")["bad"]) == (3, 3)
    assert RUNS_ALONE in pool.workers[2].output
