"""A worker for the tests that kill processes: records in Redis what it began and what it finished."""

import asyncio
import os
import signal

import redis.asyncio

from workerpool import Job, RejectJob, Worker

worker = Worker(health_port=0, metrics_port=0)
record = redis.asyncio.Redis.from_url(os.environ["RECORD_URL"])
KEY = os.environ["RECORD_KEY"]


@worker.job("work", timeout=60)
async def work(job: Job) -> None:
    """Take so many seconds; `{KEY}:done` counts how often each job was finished.

    `{KEY}:at-a-time:TENANT` says how many of a tenant's ran as one of them began, those that died included.
    """
    await record.hincrby(f"{KEY}:begun", job.id, 1)
    if job.tenant:
        await record.sadd(f"{KEY}:of:{job.tenant}", job.id)
        await record.rpush(f"{KEY}:at-a-time:{job.tenant}", await record.scard(f"{KEY}:of:{job.tenant}"))
    await asyncio.sleep(job.payload["seconds"])
    await record.hincrby(f"{KEY}:done", job.id, 1)
    await record.srem(f"{KEY}:of:{job.tenant}", job.id)


@worker.job("poison")
async def poison(job: Job) -> None:
    """Kill the worker."""
    await record.hincrby(f"{KEY}:begun", job.id, 1)
    os.kill(os.getpid(), signal.SIGKILL)


@worker.job("deaf")
async def deaf(job: Job) -> None:
    """Heed no cancellation."""
    await record.hincrby(f"{KEY}:begun", job.id, 1)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


@worker.job("refuse")
async def refuse(job: Job) -> None:
    raise RejectJob("never")


worker.run()
