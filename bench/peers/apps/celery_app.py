"""Celery: acknowledged late; what nobody acknowledged within the visibility timeout is put back."""

import asyncio
import time

import jobs
from celery import Celery
from produce import produce

app = Celery("jobs", broker=jobs.URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": jobs.REDELIVERY_SECONDS,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name="noop")
def noop(due: float | None) -> None:
    """Nothing."""
    jobs.started(due)


@app.task(name="io10ms")
def io10ms(due: float | None) -> None:
    """Wait as for a fast service."""
    jobs.started(due)
    time.sleep(jobs.IO_SECONDS)


@app.task(name="probe")
def probe(due: float | None) -> None:  # noqa: ARG001
    """Be killed."""
    time.sleep(jobs.probe_seconds())


TASKS = {"noop": noop, "io10ms": io10ms, "probe": probe}


async def enqueue(name: str, due: float | None) -> None:
    """Its producer is synchronous."""
    TASKS[name].delay(due)


if __name__ == "__main__":
    asyncio.run(produce(enqueue))
