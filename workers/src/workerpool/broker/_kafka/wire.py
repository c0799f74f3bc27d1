"""From records to jobs and back. Records may come from anyone: whatever is wrong with one is said, never raised."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workerpool.broker._types import DeadJob, DeadLetter, NewJob, Priority, Taken, TraceContext

Headers = dict[str, str]

LONGEST_TEXT: Final = 16_384
"""Of a traceback: its end is kept."""
_LONGEST_ERROR: Final = 8_192
_KEPT: Final = ("id", "type", "tenant", "traceparent", "tracestate", "expires", "checkpoint")
_SPARED: Final = ("dead.traceback", "dead.error", "checkpoint", "tracestate")
_KEPT_OF_DEAD: Final = ("id", "type", "tenant", "traceparent", "tracestate")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be put."""

    topic: str
    payload: bytes
    headers: Mapping[str, str]


def headers_of(record: Any) -> Headers:
    """A record's headers; of several with one name the last one."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def headers_of_new(job: NewJob, *, now: float) -> Headers:
    """Of a job as its producer wants it; `now` in unix seconds."""
    headers = {"type": job.type, "id": job.job_id or os.urandom(8).hex(), "due": _ms(now)}
    if job.tenant:
        headers["tenant"] = job.tenant
    if job.trace is not None:
        headers |= {name: value for name, value in job.trace._asdict().items() if value}
    if job.expires_in is not None:
        headers["expires"] = _ms(now + job.expires_in)
    return headers


def headers_again(
    job: Taken, said: Mapping[str, str], *, attempts: int, due: float | None, checkpoint: bytes
) -> Headers:
    """Of a job in flight that is to wait again after so many attempts; `due`: unix seconds, None: as it was."""
    headers = {name: said[name] for name in _KEPT if name in said}
    headers |= {"type": job.type, "id": job.job_id, "attempt": str(attempts)}
    if due is not None or "due" in said:
        headers["due"] = said["due"] if due is None else _ms(due)
    if checkpoint:
        headers["checkpoint"] = checkpoint.decode(errors="replace")
    return headers


def taken_from(record: Any, *, token: str, deliveries: int, now: float) -> Taken:
    """The job in a record, given out `deliveries` times before; `now` in unix seconds."""
    said = headers_of(record)
    before, due = _number(said.get("attempt"), 0), _number(said.get("due"), record.timestamp)
    malformed = ""
    if not said.get("type"):
        malformed = "no header 'type'"
    elif before is None:
        malformed = "header 'attempt' is not a number of attempts"
    elif due is None:
        malformed = "header 'due' is not a time in unix milliseconds"
    parent = said.get("traceparent", "")
    return Taken(
        token=token,
        job_id=said.get("id") or f"{record.topic}-{record.partition}-{record.offset}",
        type=said.get("type", ""),
        payload=record.value or b"",
        attempt=int(before or 0) + deliveries + 1,
        waited=max(0.0, now - (record.timestamp if due is None else due) / 1000.0),
        redelivered=deliveries > 0 or said.get("redelivered") == "1",
        checkpoint=said.get("checkpoint", "").encode(),
        tenant=said.get("tenant", ""),
        priority=Priority.NORMAL,
        trace=TraceContext(parent, said.get("tracestate", "")) if parent else None,
        expired=now * 1000.0 >= (_number(said.get("expires"), math.inf) or math.inf),
        begun=said.get("begun") == "1",
        malformed=malformed,
    )


def due_at(record: Any) -> float:
    """Unix seconds from which on a record among those that wait for another attempt may be given out."""
    return (_number(headers_of(record).get("due"), 0) or 0) / 1000.0


def headers_of_dead(letter: DeadLetter, said: Mapping[str, str], *, now: float) -> Headers:
    """Of a dead letter; `said`: the job's headers, `now` in unix seconds."""
    told = {
        "dead.at": _ms(now),
        "dead.reason": letter.reason.value,
        "dead.attempts": str(letter.job.attempt),
        "dead.error": letter.error[:_LONGEST_ERROR],
        "dead.traceback": letter.traceback[-LONGEST_TEXT:],
        "dead.version": letter.version,
        "dead.worker": letter.worker,
    }
    kept = {name: said[name] for name in _KEPT_OF_DEAD if name in said} | {"id": letter.job.job_id}
    return kept | {name: value for name, value in told.items() if value}


def dead_from(record: Any) -> DeadJob:
    """The dead letter in a record."""
    said = headers_of(record)
    parent = said.get("traceparent", "")
    return DeadJob(
        token=str(record.offset),
        job_id=said.get("id", ""),
        type=said.get("type", ""),
        payload=record.value or b"",
        attempts=int(_number(said.get("dead.attempts"), 0) or 0),
        reason=said.get("dead.reason", ""),
        error=said.get("dead.error", ""),
        traceback=said.get("dead.traceback", ""),
        version=said.get("dead.version", ""),
        worker=said.get("dead.worker", ""),
        died_at=(_number(said.get("dead.at"), record.timestamp) or 0) / 1000.0,
        tenant=said.get("tenant", ""),
        trace=TraceContext(parent, said.get("tracestate", "")) if parent else None,
    )


def headers_redriven(record: Any, *, now: float) -> Headers:
    """Of a dead letter as a job that was never tried."""
    said = headers_of(record)
    return {name: said[name] for name in _KEPT_OF_DEAD if name in said} | {"due": _ms(now)}


def encoded(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """As a record has them."""
    return [(name, value.encode()) for name, value in headers.items()]


def size(one: Outgoing) -> int:
    """Bytes of it, about."""
    return len(one.payload) + sum(len(name) + len(value.encode()) for name, value in one.headers.items())


def fitting(one: Outgoing, *, most: int) -> Outgoing:
    """A job that moves has to fit where it goes: without what it can do without, where it would not."""
    for name in _SPARED:
        if size(one) <= most:
            break
        one = Outgoing(one.topic, one.payload, {key: value for key, value in one.headers.items() if key != name})
    return one


def _number(value: str | None, default: float) -> float | None:
    """None: this is no number from 0 on."""
    if value is None:
        return default
    return float(value) if value.isascii() and value.isdecimal() and len(value) <= 15 else None  # noqa: PLR2004


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
