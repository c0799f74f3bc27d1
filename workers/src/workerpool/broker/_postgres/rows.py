"""Jobs as rows, and rows as jobs."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from workerpool.broker._trace_text import from_text, to_text
from workerpool.broker._types import NewJob, Taken
from workerpool.errors import PayloadInvalid

_CHUNK_JOBS: Final = 1000
_CHUNK_BYTES: Final = 8 << 20


def chunks_of(jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
    """Parts that one transaction puts: a larger one would hold up the others, and its answer come late."""
    chunk: list[NewJob] = []
    size = 0
    for job in jobs:
        if chunk and (len(chunk) >= _CHUNK_JOBS or size + len(job.payload) > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(job)
        size += len(job.payload)
    if chunk:
        yield chunk


def arrays_of(jobs: Sequence[NewJob]) -> tuple[list[Any], ...]:
    """The columns of `workerpool.put`.

    Raises:
        PayloadInvalid: a text holds what PostgreSQL's texts cannot.
    """
    for job in jobs:
        for text in (job.job_id, job.type, job.tenant, job.ordering_key):
            if text_of(text) != text:
                raise PayloadInvalid(f"PostgreSQL cannot hold {text!r}: no NUL and no half of a surrogate pair")
    return (
        [job.job_id for job in jobs],
        [job.type for job in jobs],
        [job.payload for job in jobs],
        [float(job.delay) for job in jobs],
        [job.tenant for job in jobs],
        [job.priority.value for job in jobs],
        [job.ordering_key for job in jobs],
        [to_text(job.trace) for job in jobs],
        [job.expires_in for job in jobs],
    )


def text_of(text: str) -> str:
    """As PostgreSQL can hold it: without NUL and halves of surrogate pairs, which the errors of handlers may have."""
    if text.isprintable() and text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def number_of(job: Taken) -> tuple[int, int]:
    """Serial and attempt: a delivery that was lost and came back is another one."""
    serial, attempt = job.token.split(".")
    return int(serial), int(attempt)


def taken_from(row: Any) -> Taken:
    """A job that was given to us."""
    return Taken(
        token=f"{row['serial']}.{row['attempts']}",
        job_id=row["id"],
        type=row["type"],
        payload=row["payload"],
        attempt=row["attempts"],
        waited=row["waited"],
        redelivered=row["redelivered"],
        checkpoint=row["checkpoint"],
        tenant=row["tenant"],
        priority=row["priority"],
        ordering_key=row["key"],
        trace=from_text(row["trace"]),
        begun=row["begun"],
    )
