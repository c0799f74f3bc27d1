"""A job, as its handler and as its producer see it."""

import json
from dataclasses import dataclass
from typing import Any, Final

from workerpool.errors import PayloadInvalid

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""Larger payloads belong into a store, with their address in the job: a broker holds all of them in memory."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a handler is given."""

    id: str
    """The same over all attempts: what to make side effects idempotent by."""
    type: str
    payload: Any
    """What the producer wrote, from JSON."""
    attempt: int
    """Counts from 1."""
    queue: str
    """Name of the queue it came from."""
    context: Any = None
    """What the worker's lifespan yielded."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job to be enqueued."""

    type: str
    payload: Any = None
    """Anything that JSON can hold."""
    job_id: str = ""
    """Makes enqueueing repeatable: a second job with this id is dropped, for ten minutes."""
    delay: float = 0.0
    """Seconds until it may start."""


def encode_payload(payload: Any) -> bytes:
    """The payload as JSON text.

    Raises:
        PayloadInvalid: it holds something that JSON does not have, or is larger than MAX_PAYLOAD_BYTES.
    """
    try:
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadInvalid(f"the payload cannot be written as JSON: {error}") from error
    if len(text) > MAX_PAYLOAD_BYTES:
        raise PayloadInvalid(f"the payload has {len(text)} bytes, at most {MAX_PAYLOAD_BYTES} are taken")
    return text
