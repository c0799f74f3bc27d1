"""The worker of the storm: each job takes its time, has one effect exactly once, and leaves a record of its run."""

import asyncio
import os

from e2e.faults.storm.leash import end_with_the_driver
from e2e.faults.storm.store import Store
from workerpool import Job, Worker

worker = Worker(health_port=0, metrics_port=0)
store = Store(os.environ["STORM_STORE"])
NAME = os.environ["WORKERPOOL_POD"]


@worker.job("work", timeout=60)
async def work(job: Job) -> None:
    """Wait, have the effect somewhere in between, and say at the very end that it is done."""
    with store.run(job.id, worker=NAME):
        before = job.payload["seconds"] * job.payload["effect_at"]
        await asyncio.sleep(before)
        await store.effect(job)
        await asyncio.sleep(job.payload["seconds"] - before)


if __name__ == "__main__":
    end_with_the_driver()
    worker.run()
