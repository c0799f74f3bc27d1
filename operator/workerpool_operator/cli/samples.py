"""Jobs to try the measuring commands with, where no program of the user's own is named.

`http` fetches the URL of its payload, `http-plain` does it in a plain function, `compute` sums square roots, `mixed`
waits and computes; `seconds` of the payload says for how long.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import urlopen

import aiohttp

from workerpool import Job, Worker


@asynccontextmanager
async def lifespan() -> AsyncIterator[aiohttp.ClientSession]:
    """One pool of connections for all jobs, without a bound of its own: the commands set the bound."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


worker = Worker(lifespan=lifespan)


@worker.job("http", timeout=60)
async def http(job: Job) -> None:
    """Fetch a URL."""
    async with job.context.get(job.payload["url"]) as answer:
        await answer.read()


@worker.job("http-plain", timeout=60)
def http_plain(job: Job) -> None:
    """Fetch a URL with a client that blocks."""
    with urlopen(job.payload["url"], timeout=60) as answer:  # noqa: S310  the commands' own server
        answer.read()


@worker.job("compute", timeout=60, kind="cpu")
def compute(job: Job) -> None:
    """Compute for so many seconds of CPU time."""
    burn(float(job.payload.get("seconds", 0.05)))


@worker.job("mixed", timeout=60)
async def mixed(job: Job) -> None:
    """Half of the time it waits, half of it it computes."""
    half = float(job.payload.get("seconds", 0.05)) / 2
    await asyncio.sleep(half)
    burn(half)


def burn(seconds: float) -> float:
    """Keep a core busy for so many seconds of CPU time, however long that takes."""
    end, total, number = time.thread_time() + seconds, 0.0, 0
    while time.thread_time() < end:
        for _ in range(1000):
            number += 1
            total += math.sqrt(number)
    return total
