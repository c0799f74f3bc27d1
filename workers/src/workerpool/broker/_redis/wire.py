"""From stream entries to jobs. Entries may come from anyone: whatever is wrong with one is said, never raised."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workerpool.broker._types import DeadJob, NewJob, Priority, Taken, TraceContext

_MAX_DIGITS: Final = 15
_PLAIN: Final = frozenset({b"type", b"payload", b"id"})


def taken_from(entry_id: bytes, fields: Sequence[bytes], *, deliveries: int, now_ms: float) -> Taken:
    """The job in a stream entry that was delivered `deliveries` times, this time included."""
    values: dict[bytes, Any] = dict(zip(fields[::2], fields[1::2], strict=False))
    token = entry_id.decode()
    entry_ms = float(token.partition("-")[0])
    type_, payload = values.get(b"type"), values.get(b"payload")
    if type_ and payload is not None and values.keys() <= _PLAIN:
        # Nearly every job there is: it came with no wishes, and nothing has happened to it.
        waited = max(0.0, (now_ms - entry_ms) / 1000.0)
        job_id = _text(values.get(b"id")) or token
        return Taken(token, job_id, _text(type_), payload, deliveries, waited, deliveries > 1)
    before, due = _number(values.get(b"attempt"), 0), _number(values.get(b"due"), entry_ms)
    malformed = ""
    if not type_:
        malformed = "no field 'type'"
    elif payload is None:
        malformed = "no field 'payload'"
    elif before is None or before < 0:
        malformed = "field 'attempt' is not a number of attempts"
    elif due is None:
        malformed = "field 'due' is not a time in unix milliseconds"
    return Taken(
        token=token,
        job_id=_text(values.get(b"id")) or token,
        type=_text(type_),
        payload=payload or b"",
        attempt=int(before or 0) + deliveries,
        waited=max(0.0, (now_ms - (due or entry_ms)) / 1000.0),
        redelivered=deliveries > 1 or b"redelivered" in values,
        checkpoint=values.get(b"checkpoint") or b"",
        tenant=_text(values.get(b"tenant")),
        priority=_text(values.get(b"priority")) or Priority.NORMAL,
        ordering_key=_text(values.get(b"key")),
        trace=_trace(values),
        expired=now_ms >= (_number(values.get(b"expires"), math.inf) or math.inf),
        begun=b"begun" in values,
        malformed=malformed,
    )


def extras_of(job: NewJob) -> str:
    """What a job says beside its type, payload and id, as JSON; empty when it says nothing."""
    if job.plain and job.trace is None and job.expires_in is None:
        return ""
    wishes = {"tenant": job.tenant, "priority": job.priority.value, "key": job.ordering_key}
    if job.trace is not None:
        wishes |= job.trace._asdict()
    extras: dict[str, Any] = {name: value for name, value in wishes.items() if value and value != Priority.NORMAL}
    if job.expires_in is not None:
        extras["expires"] = round(job.expires_in * 1000)
    return json.dumps(extras)


def dead_from(entry_id: bytes, fields: Sequence[bytes]) -> DeadJob:
    """The dead letter in an entry."""
    values: dict[bytes, Any] = dict(zip(fields[::2], fields[1::2], strict=False))
    token = entry_id.decode()
    died_ms = _number(values.get(b"dead.at"), 0.0) or float(token.partition("-")[0])
    return DeadJob(
        token=token,
        job_id=_text(values.get(b"id") or values.get(b"dead.entry")),
        type=_text(values.get(b"type")),
        payload=values.get(b"payload") or b"",
        attempts=int(_number(values.get(b"dead.attempts"), 0.0) or 0),
        reason=_text(values.get(b"dead.reason")),
        error=_text(values.get(b"dead.error")),
        traceback=_text(values.get(b"dead.traceback")),
        version=_text(values.get(b"dead.version")),
        worker=_text(values.get(b"dead.worker")),
        died_at=died_ms / 1000.0,
        tenant=_text(values.get(b"tenant")),
        priority=_text(values.get(b"priority")) or Priority.NORMAL,
        ordering_key=_text(values.get(b"key")),
        trace=_trace(values),
    )


def _trace(values: Mapping[bytes, Any]) -> TraceContext | None:
    parent = _text(values.get(b"traceparent"))
    return TraceContext(parent, _text(values.get(b"tracestate"))) if parent else None


def _number(value: bytes | None, default: float) -> float | None:
    if value is None:
        return default
    return float(value) if value.isdigit() and len(value) <= _MAX_DIGITS else None


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", errors="replace") if value else ""
