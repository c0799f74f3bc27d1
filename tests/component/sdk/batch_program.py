"""A worker that does batches in every lane, for the tests of batches. What each job wants is its payload.

A line for each call goes to the file RECORD: `[pid, [ids]]` when it begins, and `["done", id]` for each job at its end.
"""

import asyncio
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

from workerpool import Batch, Job, RejectJob, Worker

worker = Worker(health_port=0, metrics_port=0)
record = Path(os.environ["RECORD"])
BATCH = Batch(size=int(os.environ.get("SIZE", "20")), wait=0.2)


def note(*line: object) -> None:
    with record.open("a") as file:
        file.write(json.dumps(line) + "\n")


def act(job: Job) -> None:
    match job.payload:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "fail":
            job.fail("as asked")
        case "reject":
            job.fail(RejectJob("as asked"))
        case "fail-once" if job.attempt == 1:
            job.checkpoint_sync({"half": "way"})
            job.fail(ValueError("half way"))
        case "fail-once":
            note("resumed", job.id, job.checkpointed)
        case "once":
            with sqlite3.connect(os.environ["EFFECTS"]) as effects:
                if job.once_sync(effects):
                    effects.execute("INSERT INTO effects VALUES (?)", (job.id,))
    note("done", job.id)


def hangs(jobs: list[Job]) -> bool:
    return any(job.payload == "hang" and job.attempt == 1 for job in jobs)


def plain(jobs: list[Job]) -> None:
    note(os.getpid(), [job.id for job in jobs])
    if hangs(jobs):
        time.sleep(3600)
    for job in jobs:
        act(job)


@worker.job("io", batch=BATCH, timeout=60)
async def io(jobs: list[Job]) -> None:
    note(os.getpid(), [job.id for job in jobs])
    if hangs(jobs):
        await asyncio.sleep(3600)
    if any(job.payload == "kill" for job in jobs):
        await asyncio.sleep(1)  # as a memory that fills up: others are done meanwhile
    for job in jobs:
        act(job)


@worker.job("thread", batch=BATCH, timeout=60)
def thread(jobs: list[Job]) -> None:
    plain(jobs)


@worker.job("cpu", batch=BATCH, timeout=60, kind="cpu")
def cpu(jobs: list[Job]) -> None:
    plain(jobs)


worker.run()
