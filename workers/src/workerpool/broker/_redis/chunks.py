"""Batches cut into what one script call may hold."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from workerpool.broker._types import NewJob

CHUNK: Final = 500
"""Jobs per script call: longer ones would hold up everyone else's commands."""
CHUNK_BYTES: Final = 4 * 1024 * 1024

T = TypeVar("T")


def chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """Chunks that are small in number."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def put_chunks(jobs: Sequence[NewJob]) -> Iterable[Sequence[NewJob]]:
    """Chunks that are small in number and in bytes."""
    start = size = 0
    for end, job in enumerate(jobs):
        if end - start == CHUNK or (size + len(job.payload) > CHUNK_BYTES and end > start):
            yield jobs[start:end]
            start, size = end, 0
        size += len(job.payload)
    if start < len(jobs):
        yield jobs[start:]
