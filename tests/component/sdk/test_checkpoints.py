"""Checkpoints: on every broker, and through the death of a real worker process."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
import pytest_asyncio

from tests.component.sdk.conformance import Open, another, broker, jobs, take
from tests.support.kafka import make_topic
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import ConfigurationError, Job, LeaseLost, PayloadInvalid, Queue, Worker
from workerpool.broker import Broker, DeadJobs, DeadLetter, DeathReason, Retry
from workerpool.broker._redis import RedisBroker

pytestmark = pytest.mark.component
PROGRAM = Path(__file__).with_name("checkpoint_program.py")

__all__ = ["another", "broker"]  # fixtures


@pytest.mark.needs("extend")
async def test_the_last_checkpoint_goes_with_the_job_wherever_it_goes(broker: Broker, another: Open) -> None:
    await broker.put(jobs(1))
    [job] = await take(broker, 1)
    assert job.checkpoint == b""
    assert await broker.checkpoint(job, b"1")
    assert await broker.checkpoint(job, b'{"step": 2}')
    await broker.retry_later([Retry(job, 0.0)])
    [job] = await take(broker, 1)
    assert (job.checkpoint, job.attempt) == (b'{"step": 2}', 2)
    await broker.hand_back([job])
    [job] = await take(broker, 1)
    assert job.checkpoint == b'{"step": 2}'
    assert await broker.checkpoint(job, b"3")
    await broker.hand_back([job])
    [job] = await take(broker, 1)
    assert job.checkpoint == b"3"
    assert await broker.checkpoint(job, b"4")
    [job] = await take(another(), 1)
    assert (job.checkpoint, job.redelivered) == (b"4", True), "its lease expired"


async def test_each_job_has_its_own(another: Open) -> None:
    broker = another(lease=60)
    await broker.put(jobs(4))
    taken = await take(broker, 4)
    for job in taken[:2]:
        assert await broker.checkpoint(job, job.payload * 3)
    await broker.retry_later([Retry(job, 0.0) for job in taken])
    assert {job.payload: job.checkpoint for job in await take(broker, 4)} == {
        b"0": b"000",
        b"1": b"111",
        b"2": b"",
        b"3": b"",
    }


@pytest.mark.needs("extend")
async def test_only_the_owner_can_keep_one(broker: Broker, another: Open) -> None:
    await broker.put(jobs(1))
    [mine] = await take(broker, 1)
    thief = another()
    [theirs] = await take(thief, 1)
    assert await thief.checkpoint(theirs, b"theirs")
    assert not await broker.checkpoint(mine, b"mine")
    await thief.hand_back([theirs])
    assert not await thief.checkpoint(theirs, b"late")
    [job] = await take(broker, 1)
    assert job.checkpoint == b"theirs"


async def test_a_redriven_job_begins_anew(broker: Broker) -> None:
    await broker.put(jobs(1))
    [job] = await take(broker, 1)
    await broker.checkpoint(job, b"1")
    await broker.retry_later([Retry(job, 0.0)])
    [job] = await take(broker, 1)
    await broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
    await broker.redrive(DeadJobs())
    [job] = await take(broker, 1)
    assert job.checkpoint == b""


async def test_nothing_of_it_is_left_when_the_job_is_gone(
    another: Open, redis_server: RedisServer, redis_stream: str
) -> None:
    broker, key = another(lease=60), f"{{{redis_stream}}}:checkpoints"
    if not isinstance(broker, RedisBroker):
        return  # it lies in the job's own record there
    client = redis_server.client()
    await broker.put(jobs(4))
    done, dead, retried, handed = await take(broker, 4)
    for job in (done, dead, retried, handed):
        await broker.checkpoint(job, b"1")
    assert client.hlen(key) == 4
    await broker.ack([done])
    await broker.dead_letter([DeadLetter(dead, DeathReason.REJECTED)])
    await broker.retry_later([Retry(retried, 60.0)])
    await broker.hand_back([handed])
    assert client.hlen(key) == 0


@pytest.mark.needs("extend")
async def test_a_handler_sees_that_the_job_is_not_its_own_any_more(another: Open) -> None:
    """And leaves: nothing is counted as done or retried, the other one has it."""
    queue, seen = Queue.connect("memory://"), []
    worker = Worker(queue, health_port=0, metrics_port=0, env={"DRAIN_TIMEOUT": "5"})

    @worker.job("step")
    async def step(job: Job) -> None:
        with pytest.raises(PayloadInvalid):
            await job.checkpoint("x" * 70_000)
        with pytest.raises(PayloadInvalid):
            await job.checkpoint({"not": {"json"}})
        await job.checkpoint({"step": 1})
        store = queue.source.store
        assert store is not None
        [lease] = store.in_flight.values()
        lease.owner = queue._broker  # as if its lease had expired
        try:
            await job.checkpoint({"step": 2})
        except LeaseLost as error:
            seen.append(error)
            worker.stop()
            raise

    await queue.enqueue("step")
    await worker.serve()
    assert len(seen) == 1
    depth = await queue.depth()
    assert (depth.waiting, depth.in_flight, depth.delayed, depth.dead_letters) == (0, 1, 0, 0)


async def test_handlers_in_threads_keep_checkpoints_too() -> None:
    queue, seen = Queue.connect("memory://"), []
    worker = Worker(queue, health_port=0, metrics_port=0, env={"DRAIN_TIMEOUT": "5", "BACKOFF_SECONDS": "0.01"})

    @worker.job("blocking")
    async def blocking(job: Job) -> None:
        seen.append(job.checkpointed)
        if job.attempt == 1:
            with pytest.raises(ConfigurationError, match="await"):
                job.checkpoint_sync("here")
            await asyncio.to_thread(job.checkpoint_sync, "one")
        elif job.attempt == 2:
            await asyncio.to_thread(asyncio.run, job.checkpoint("two"))
        else:
            worker.stop()
            return
        raise OSError("again")

    await queue.enqueue("blocking")
    await worker.serve()
    assert seen == [None, "one", "two"]


async def test_a_job_that_no_worker_runs_keeps_none() -> None:
    with pytest.raises(ConfigurationError, match="not run by a worker"):
        await Job("j", "t", None, 1, "main").checkpoint(1)


@pytest_asyncio.fixture(
    params=[
        "sqlite",
        "redis",
        "nats",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
async def place(request: pytest.FixtureRequest, tmp_path: Path, redis_stream: str) -> dict[str, str]:
    """A worker's environment: its queue, of each kind of broker."""
    kind: str = request.param
    sqlite = f"sqlite:///{tmp_path}/jobs.db"
    url: str = sqlite if kind == "sqlite" else request.getfixturevalue(f"{kind}_server").url
    if kind == "kafka":
        await make_topic(url, redis_stream)
    name = {"sqlite": "STREAM", "redis": "STREAM", "nats": "STREAM", "kafka": "TOPIC"}.get(kind, "QUEUE")
    # Those three begin anew with who stands still for longer; RabbitMQ notices at once that one was killed.
    lease = {"nats": "6", "kafka": "6", "rabbitmq": "60"}.get(kind, "1")
    return {"QUEUE_MAIN_URL": url, f"QUEUE_MAIN_{name}": redis_stream, "LEASE_SECONDS": lease}


async def test_a_job_of_a_hundred_steps_killed_at_the_sixtieth_goes_on_there(
    place: dict[str, str], tmp_path: Path
) -> None:
    """But on RabbitMQ and Kafka, which keep no checkpoint of a job in flight: there it begins anew."""
    record = tmp_path / "record"
    record.touch()
    env = {**place, "RECORD": str(record)}
    workers: list[WorkerProcess] = []

    def steps() -> list[list[int]]:
        return [json.loads(line) for line in record.read_text().splitlines()]

    async with Queue.from_env(env=place) as queue:
        await queue.enqueue("hundred")
        try:
            workers.append(WorkerProcess(PROGRAM, env, log=tmp_path / "first.log"))
            await until(lambda: [1, 60] in steps(), what="step 60")
            workers[0].signal(signal.SIGKILL)
            workers.append(WorkerProcess(PROGRAM, env, log=tmp_path / "second.log"))
            await until(lambda: [2, 100] in steps(), what="step 100")
        finally:
            for worker in workers:
                worker.end()
    begins = 1 if place["QUEUE_MAIN_URL"].startswith(("amqp", "kafka")) else 61
    assert steps() == [[1, step] for step in range(1, 61)] + [[2, step] for step in range(begins, 101)]
