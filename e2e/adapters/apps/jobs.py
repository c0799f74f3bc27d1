"""What the jobs of every library do. They say in Redis themselves what happened, in the order in which it did.

Needs redis-py, which each of these environments has. Each line of the list `test:said`: what, job, pod.
"""

import asyncio
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

URL = os.environ["ADAPTERS_REDIS"]
SLOTS = int(os.environ.get("MAX_WORKERS", "4"))
PORTS = {
    "health_port": int(os.environ.get("HEALTH_PORT", "8080")),
    "metrics_port": int(os.environ.get("METRICS_PORT", "8000")),
}
ABANDONED_SECONDS = int(os.environ.get("ABANDONED_SECONDS", "10"))
"""After which a job that nobody acknowledges is another worker's: longer than any job takes, where none is killed."""
_LOOK_SECONDS = 0.2
_CLIENT = redis.Redis.from_url(URL)


class FlakyError(Exception):
    """The first attempt of a flaky job fails."""


def work(job: str, seconds: float) -> None:
    """A job that takes so long, or until the test releases it."""
    _say("began", job)
    for pause in _pauses(job, seconds):
        time.sleep(pause)
    _say("done", job)


async def work_async(job: str, seconds: float) -> None:
    """The same in an event loop."""
    _say("began", job)
    for pause in _pauses(job, seconds):
        await asyncio.sleep(pause)
    _say("done", job)


def flaky(job: str) -> None:
    """Fails at its first attempt."""
    _say("began", job)
    if _CLIENT.set(f"test:failed:{job}", 1, nx=True):
        _say("failed", job)
        raise FlakyError(job)
    _say("done", job)


def produce(enqueue: Callable[[str, str, float], Any]) -> None:
    """`python APP.py KIND SECONDS JOB...` enqueues jobs; `enqueue(kind, job, seconds)` may be a coroutine function."""
    kind, seconds, *jobs = sys.argv[1:]

    async def put() -> None:
        for job in jobs:
            put = enqueue(kind, job, float(seconds))
            if inspect.isawaitable(put):
                await put

    asyncio.run(put())


def _pauses(job: str, seconds: float) -> Iterator[float]:
    over = time.monotonic() + seconds
    while (left := over - time.monotonic()) > 0 and not _released(job):
        yield min(left, _LOOK_SECONDS)


def _released(job: str) -> bool:
    try:
        return bool(_CLIENT.exists(f"test:released:{job}"))
    except redis.RedisError:  # away: see _say
        return False


def _say(what: str, job: str) -> None:
    line = json.dumps([what, job, os.environ.get("WORKERPOOL_POD", "")])
    while True:
        try:
            _CLIENT.rpush("test:said", line)
        except redis.RedisError:  # its library's broker is away, and this is the same server: no fault of the job's
            time.sleep(0.2)
        else:
            return
