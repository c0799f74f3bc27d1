"""A worker and, with the argument `put`, its producer, for the tests of traces. Both have an instrumented httpx."""

import asyncio
import json
import logging
import os
import sys

import httpx

from workerpool import Batch, Job, JobSpec, Queue, Worker

if os.environ.get("INSTRUMENT"):
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    HTTPXClientInstrumentor().instrument()

if seconds := os.environ.get("FLUSH_SECONDS"):
    from workerpool.telemetry.tracing import setup

    # Else what a busy machine has not sent 2 s after the end is lost.
    vars(setup)["FLUSH_SECONDS"] = float(seconds)

worker = Worker(health_port=0, metrics_port=0)
logger = logging.getLogger("program")


def call(job: Job) -> None:
    """One call, or a failure after it."""
    logger.info("at work")
    if "url" in job.payload:
        httpx.get(job.payload["url"])
    if job.payload.get("fail"):
        raise ValueError("as asked, with password=hunter2")


@worker.job("io", timeout=20)
async def io(job: Job) -> None:
    logger.info("at work")
    if "url" in job.payload:
        async with httpx.AsyncClient() as client:
            await client.get(job.payload["url"])
    if job.payload.get("fail"):
        raise ValueError("as asked, with password=hunter2")


@worker.job("thread", timeout=20, kind="thread")
def thread(job: Job) -> None:
    call(job)


@worker.job("cpu", timeout=20, kind="cpu")
def cpu(job: Job) -> None:
    call(job)


@worker.job("bulk", timeout=20, batch=Batch(size=2, wait=10))
async def bulk(jobs: list[Job]) -> None:
    """One call for all."""
    async with httpx.AsyncClient() as client:
        await client.get(jobs[0].payload["url"])


@worker.job("bulk-cpu", timeout=20, kind="cpu", batch=Batch(size=2, wait=10))
def bulk_cpu(jobs: list[Job]) -> None:
    """The same in a process."""
    httpx.get(jobs[0].payload["url"])


@worker.job("relay", timeout=20)
async def relay(job: Job) -> None:
    """Put another job."""
    async with Queue.from_env() as queue:
        await queue.enqueue("io", job.payload)


async def put(jobs: list[JobSpec]) -> None:
    async with Queue.from_env() as queue:
        if len(jobs) == 1:
            [job] = jobs
            await queue.enqueue(job.type, job.payload, job_id=job.job_id, tenant=job.tenant)
        else:
            await queue.enqueue_many(jobs)


if sys.argv[1:2] == ["put"]:
    asyncio.run(put([JobSpec(**fields) for fields in json.loads(sys.argv[2])]))
else:
    worker.run()
