"""Taskiq with taskiq-redis' streams: acknowledged when executed; pending entries are claimed after a read with jobs."""

import asyncio

import jobs
from produce import produce
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(
    jobs.URL,
    consumer_id="0",
    idle_timeout=jobs.REDELIVERY_SECONDS * 1000,
    unacknowledged_lock_timeout=jobs.REDELIVERY_SECONDS,
)


@broker.task(task_name="noop")
async def noop(due: float | None) -> None:
    """Nothing."""
    jobs.started(due)


@broker.task(task_name="io10ms")
async def io10ms(due: float | None) -> None:
    """Wait as for a fast service."""
    jobs.started(due)
    await asyncio.sleep(jobs.IO_SECONDS)


@broker.task(task_name="probe")
async def probe(due: float | None) -> None:  # noqa: ARG001
    """Be killed."""
    await asyncio.sleep(jobs.probe_seconds())


TASKS = {"noop": noop, "io10ms": io10ms, "probe": probe}


async def main() -> None:
    """Produce."""
    await broker.startup()
    await produce(lambda name, due: TASKS[name].kiq(due))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
