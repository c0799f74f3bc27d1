"""A worker for the tests of checkpoints: a job of a hundred steps, whose first attempt hangs after the sixtieth."""

import asyncio
import json
import os
from pathlib import Path

from workerpool import Job, Worker

worker = Worker(health_port=0, metrics_port=0)
record = Path(os.environ["RECORD"])


def note(step: list[int]) -> None:
    with record.open("a") as file:
        file.write(json.dumps(step) + "\n")


@worker.job("hundred")
async def hundred(job: Job) -> None:
    """Record each step as a line `[attempt, step]`, after its checkpoint."""
    for step in range((job.checkpointed or {"step": 0})["step"] + 1, 101):
        await job.checkpoint({"step": step})
        note([job.attempt, step])
        if job.attempt == 1 and step == 60:
            await asyncio.sleep(3600)


worker.run()
