"""A worker whose jobs wait, block and compute until somebody has looked at them."""

import asyncio
import os
import time
from pathlib import Path

from workerpool import Job, Worker

worker = Worker(os.environ["QUEUE"], health_port=0, metrics_port=0)
crm = worker.endpoint("crm", at_most=1, timeout=60)
lock = asyncio.Lock()
END = Path(os.environ["END"])


def is_over() -> bool:
    return END.exists()


@worker.job("calls", timeout=60)
async def calls(_: Job) -> None:
    """One at a time."""
    async with crm:
        await until_the_end()


@worker.job("locks", timeout=60)
async def locks(_: Job) -> None:
    """One at a time, by a lock of the program's own."""
    async with lock:
        await until_the_end()


async def until_the_end() -> None:
    while not is_over():  # noqa: ASYNC110  another process says so
        await asyncio.sleep(0.1)


@worker.job("blocks", timeout=60)
def blocks(_: Job) -> None:
    """In a thread."""
    while not is_over():
        time.sleep(0.1)


@worker.job("blocks_the_loop", timeout=60)
async def blocks_the_loop(_: Job) -> None:
    """Nothing else goes on in the worker meanwhile."""
    while not is_over():
        time.sleep(0.1)  # noqa: ASYNC251  that is what it is for


@worker.job("computes", timeout=60, kind="cpu")
def computes(_: Job) -> None:
    """In a process."""
    while not is_over():
        spin()


def spin() -> int:
    """The hot one."""
    return sum(number * number for number in range(20_000))


worker.run()
