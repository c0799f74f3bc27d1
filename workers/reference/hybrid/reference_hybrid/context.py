"""What all jobs of this worker share: connections, made once, and the way to the second stage."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from reference_common.blobs import AsyncBlobs, open_blobs
from reference_common.web import Fetcher
from workerpool import ConfigurationError, Queue

AGENT: Final = "workerpool-reference-hybrid"
MAX_DEPTH: Final = "1000"


@dataclass(frozen=True, slots=True)
class Next:
    """The queue of the second stage."""

    queue: Queue
    max_depth: int


@dataclass(frozen=True, slots=True)
class Context:
    """`job.context` of this worker."""

    fetcher: Fetcher
    blobs: AsyncBlobs
    next: Next


@asynccontextmanager
async def lifespan() -> AsyncIterator[Context]:
    """Nothing is dialled yet: a worker is ready when it can take jobs."""
    following = open_next()
    blobs, fetcher = AsyncBlobs(open_blobs()), Fetcher(AGENT)
    try:
        yield Context(fetcher, blobs, following)
    finally:
        await fetcher.close()
        await following.queue.close()
        blobs.close()


def open_next(env: Mapping[str, str] = os.environ) -> Next:
    """The queue that `NEXT_URL` and its companions describe.

    It is not among the pool's `queues`: those are what its workers take from.

    Raises:
        ConfigurationError: something is missing or wrong.
    """
    depth = env.get("NEXT_MAX_DEPTH", MAX_DEPTH)
    if not depth.isdecimal() or int(depth) < 1:
        raise ConfigurationError("NEXT_MAX_DEPTH must be a whole number, at least 1")
    if "NEXT_URL" not in env:
        raise ConfigurationError("NEXT_URL is missing: write the address of the second stage's queue")
    described = {f"QUEUE_{name}": value for name, value in env.items() if name.startswith("NEXT_")}
    return Next(Queue.from_env("next", env=described), int(depth))
