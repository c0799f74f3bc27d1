"""From messages to jobs and back. Messages may come from anyone: whatever is wrong with one is said, never raised."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pamqp import commands

from workerpool.broker._rabbitmq.messages import Delivery, Message
from workerpool.broker._types import DeadJob, DeadLetter, NewJob, Priority, Taken, TraceContext

_PERSISTENT: Final = 2
_COUNT: Final = "x-delivery-count"
"""How often RabbitMQ has given a message to somebody who did not settle it; absent for the first time."""
_OURS: Final = ("due", "attempt", "tenant", "traceparent", "tracestate", "expires", "checkpoint")
_KEPT_OF_DEAD: Final = ("tenant", "traceparent", "tracestate")
_MOST: Final = 10**15
LONGEST_HEADER: Final = 65_536
"""Characters: all headers of a message travel in one frame of 128 KiB."""
_LONGEST_ERROR: Final = 8_192


@dataclass(frozen=True, slots=True)
class Parts:
    """What a message says of a job, to write it anew."""

    job_id: str
    type: str
    payload: bytes
    headers: Mapping[str, Any]
    """Ours: those of RabbitMQ are left out."""


def message_of(parts: Parts, queue: str, *, expiration_ms: int | None = None) -> Message:
    """A message for a queue, in which it stays so long at most."""
    properties = commands.Basic.Properties(
        content_type="application/json",
        delivery_mode=_PERSISTENT,
        message_id=parts.job_id,
        message_type=parts.type,
        headers=dict(parts.headers) or None,
        expiration=None if expiration_ms is None else str(expiration_ms),
    )
    return Message(queue, properties, parts.payload)


def parts_of_new(job: NewJob, *, now: float) -> Parts:
    """A job as its producer wants it; `now` in unix seconds."""
    headers: dict[str, Any] = {"due": _ms(now + job.delay)}
    if job.tenant:
        headers["tenant"] = job.tenant
    if job.trace is not None:
        headers |= {name: value for name, value in job.trace._asdict().items() if value}
    if job.expires_in is not None:
        headers["expires"] = _ms(now + job.expires_in)
    return Parts(job.job_id or os.urandom(8).hex(), job.type, job.payload, headers)


def parts_again(
    job: Taken,
    said: Mapping[str, Any],
    *,
    attempts: int,
    due: float | None = None,
    checkpoint: bytes = b"",
    handed_back: bool = False,
) -> Parts:
    """A job in flight, to wait again after so many attempts; `said`: its headers, `due`: unix seconds or as it was."""
    headers = {name: said[name] for name in _OURS if name in said} | {"attempt": attempts}
    if due is not None:
        headers["due"] = _ms(due)
    if checkpoint:
        headers["checkpoint"] = checkpoint.decode(errors="replace")
    if handed_back:
        headers |= {name: True for name, is_so in (("begun", job.begun), ("redelivered", job.redelivered)) if is_so}
    return Parts(job.job_id, job.type, job.payload, headers)


def taken_from(delivery: Delivery, *, token: str, now: float) -> Taken:
    """The job in a message; `now` in unix seconds."""
    values, properties = delivery.properties.headers or {}, delivery.properties
    before, due = _number(values.get("attempt"), 0), _number(values.get("due"), _ms(now))
    deliveries = 1 + int(_number(values.get(_COUNT), 0) or 0)
    malformed = ""
    if not properties.message_type:
        malformed = "no property 'type'"
    elif before is None:
        malformed = "header 'attempt' is not a number of attempts"
    elif due is None:
        malformed = "header 'due' is not a time in unix milliseconds"
    return Taken(
        token=token,
        job_id=properties.message_id or os.urandom(8).hex(),
        type=properties.message_type or "",
        payload=delivery.body,
        attempt=int(before or 0) + deliveries,
        waited=max(0.0, now - (due or _ms(now)) / 1000.0),
        redelivered=deliveries > 1 or bool(values.get("redelivered")),
        checkpoint=_text(values.get("checkpoint")).encode(),
        tenant=_text(values.get("tenant")),
        priority=Priority.NORMAL,
        trace=_trace(values),
        expired=_ms(now) >= (_number(values.get("expires"), math.inf) or math.inf),
        begun=bool(values.get("begun")),
        malformed=malformed,
    )


def parts_of_dead(letter: DeadLetter, said: Mapping[str, Any], *, now: float) -> Parts:
    """A dead letter; `said`: the job's headers, `now` in unix seconds. Of a long traceback the end is kept."""
    job = letter.job
    told = {
        "dead.token": f"{_ms(now):013d}-{os.urandom(4).hex()}",
        "dead.at": _ms(now),
        "dead.reason": letter.reason.value,
        "dead.attempts": job.attempt,
        "dead.error": letter.error[:_LONGEST_ERROR],
        "dead.traceback": letter.traceback[-LONGEST_HEADER // 4 :],
        "dead.version": letter.version,
        "dead.worker": letter.worker,
    }
    kept = {name: said[name] for name in _KEPT_OF_DEAD if name in said}
    return Parts(job.job_id, job.type, job.payload, kept | {name: value for name, value in told.items() if value})


def dead_from(delivery: Delivery) -> DeadJob:
    """The dead letter in a message."""
    values, properties = delivery.properties.headers or {}, delivery.properties
    return DeadJob(
        token=_text(values.get("dead.token")) or properties.message_id or "",
        job_id=properties.message_id or "",
        type=properties.message_type or "",
        payload=delivery.body,
        attempts=int(_number(values.get("dead.attempts"), 0) or 0),
        reason=_text(values.get("dead.reason")),
        error=_text(values.get("dead.error")),
        traceback=_text(values.get("dead.traceback")),
        version=_text(values.get("dead.version")),
        worker=_text(values.get("dead.worker")),
        died_at=(_number(values.get("dead.at"), 0) or 0) / 1000.0,
        tenant=_text(values.get("tenant")),
        trace=_trace(values),
    )


def redriven(delivery: Delivery, *, now: float) -> Parts:
    """A dead letter as a job that was never tried."""
    values, properties = delivery.properties.headers or {}, delivery.properties
    kept: dict[str, Any] = {name: values[name] for name in _KEPT_OF_DEAD if name in values}
    job_id = properties.message_id or os.urandom(8).hex()
    return Parts(job_id, properties.message_type or "", delivery.body, {"due": _ms(now), **kept})


def _trace(values: Mapping[str, Any]) -> TraceContext | None:
    parent = _text(values.get("traceparent"))
    return TraceContext(parent, _text(values.get("tracestate"))) if parent else None


def _number(value: Any, default: float) -> float | None:
    """None: this is no number from 0 on."""
    if value is None:
        return default
    if isinstance(value, datetime):
        return None
    return float(value) if isinstance(value, int) and 0 <= value < _MOST else None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes | bytearray) else str(value or "")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
