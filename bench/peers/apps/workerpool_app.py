"""This project's worker."""

import asyncio
import sys

import jobs
from produce import produce

from workerpool import Job, JobSpec, Queue, Worker

env = {
    "QUEUE_MAIN_URL": jobs.URL,
    "QUEUE_MAIN_STREAM": "jobs",
    "MAX_WORKERS": str(jobs.SLOTS),
    "LEASE_SECONDS": str(jobs.REDELIVERY_SECONDS),
}
worker = Worker(env=env, health_port=0, metrics_port=0)


@worker.job("noop")
async def noop(job: Job) -> None:
    """Nothing."""
    jobs.started(job.payload)


@worker.job("io10ms")
async def io10ms(job: Job) -> None:
    """Wait as for a fast service."""
    jobs.started(job.payload)
    await asyncio.sleep(jobs.IO_SECONDS)


@worker.job("probe")
async def probe(job: Job) -> None:  # noqa: ARG001
    """Be killed."""
    await asyncio.sleep(jobs.probe_seconds())


async def main() -> None:
    """Produce."""
    async with Queue.from_env(env=env) as queue:
        await produce(queue.enqueue, fill=lambda name, count: queue.enqueue_many([JobSpec(name)] * count))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        worker.run()
    else:
        asyncio.run(main())
