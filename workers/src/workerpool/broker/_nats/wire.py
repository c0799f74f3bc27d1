"""From JetStream's messages to jobs. They may come from anyone: whatever is wrong with one is said, never raised.

The payload is the message; what else there is to say of a job stands in headers, named as the fields of Redis' entries.
Values are percent-encoded where they are not printable ASCII: a header ends with its line.
"""

import json
import math
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from nats.aio.msg import Msg

from workerpool.broker._types import DeadJob, DeadLetter, NewJob, Priority, Taken, TraceContext

Headers = dict[str, str]

MESSAGE_ID: Final = "Nats-Msg-Id"
_SAFE: Final = "".join(set(string.printable) - set(string.whitespace) - {"%"})
_MAX_DIGITS: Final = 15
_ERROR_CHARACTERS: Final = 1_000
_TRACEBACK_CHARACTERS: Final = 8_000
"""A stream keeps at most 64 KiB of headers with a message."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What JetStream says of a message that it hands out, in the subject on which it wants to hear of its end."""

    sequence: int
    """The message's, in its stream."""
    count: int
    """How often it was handed out, this time included."""
    stored_at: float
    """Unix seconds by the server's clock."""

    @classmethod
    def of(cls, subject: str) -> "Delivery":
        """From `$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.COUNT.SEQUENCE.CONSUMERS_SEQUENCE.TIME.PENDING[.TOKEN]`."""
        parts = subject.split(".")
        first = 4 if len(parts) == 9 else 6  # noqa: PLR2004  the short form, and the one with domain and account
        return cls(int(parts[first + 1]), int(parts[first]), int(parts[first + 3]) / 1e9)


def headers_of(job: NewJob, *, now: float) -> Headers:
    """What a new job says beside its payload. `now`: unix seconds by the server's clock."""
    headers = {"type": word(job.type)}
    if job.job_id:
        headers |= {"id": word(job.job_id), MESSAGE_ID: f"job:{word(job.job_id)}"}
    wishes = {"tenant": job.tenant, "key": job.ordering_key}
    if job.trace is not None:
        wishes |= job.trace._asdict()
    headers |= {name: word(value) for name, value in wishes.items() if value}
    if job.priority is not Priority.NORMAL:
        headers["priority"] = job.priority.value
    if job.expires_in is not None:
        headers["expires"] = str(_ms(now + job.expires_in))
    return headers


def scheduled(headers: Headers, *, target: str, at: float) -> Headers:
    """Hold the message back until a moment, unix seconds by the server's clock."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return headers | {"Nats-Schedule": f"@at {moment}", "Nats-Schedule-Target": target}


def own(message: Msg) -> Headers:
    """The headers that go where the job goes: not those that NATS made of it."""
    return {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}


def taken_from(message: Msg, delivery: Delivery, *, now: float, checkpoint: bytes = b"") -> Taken:
    """The job in a message that is handed out for the first time."""
    headers = message.headers or {}
    due = _number(headers.get("due"), _ms(delivery.stored_at))
    before = _number(headers.get("attempt"), 0)
    malformed = ""
    if not headers.get("type"):
        malformed = "no header 'type'"
    elif before is None:
        malformed = "header 'attempt' is not a number of attempts"
    elif due is None:
        malformed = "header 'due' is not a time in unix milliseconds"
    return Taken(
        token=message.reply,
        job_id=_text(headers, "id") or str(delivery.sequence),
        type=_text(headers, "type"),
        payload=message.data,
        attempt=int(before or 0) + 1,
        waited=max(0.0, now - (due or _ms(delivery.stored_at)) / 1000.0),
        redelivered="redelivered" in headers,
        checkpoint=checkpoint,
        tenant=_text(headers, "tenant"),
        priority=_text(headers, "priority") or Priority.NORMAL,
        ordering_key=_text(headers, "key"),
        trace=_trace(headers),
        expired=_ms(now) >= (_number(headers.get("expires"), math.inf) or math.inf),
        begun="begun" in headers,
        malformed=malformed,
    )


def death(letter: DeadLetter, *, now: float) -> Headers:
    """How a job ended, for its headers."""
    said = {
        "reason": letter.reason.value,
        "attempts": letter.job.attempt,
        "error": letter.error[:_ERROR_CHARACTERS],
        "traceback": letter.traceback[-_TRACEBACK_CHARACTERS:],
        "version": letter.version,
        "worker": letter.worker,
        "at": round(now, 3),
    }
    return {"id": word(letter.job.job_id), "dead": json.dumps(said, ensure_ascii=True)}


def dead_from(sequence: int, headers: Mapping[str, str], payload: bytes) -> DeadJob:
    """The dead letter in a message."""
    try:
        said: Any = json.loads(headers.get("dead", ""))
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    attempts, at = said.get("attempts"), said.get("at")
    return DeadJob(
        token=str(sequence),
        job_id=_text(headers, "id") or str(sequence),
        type=_text(headers, "type"),
        payload=payload,
        attempts=attempts if isinstance(attempts, int) else 0,
        reason=str(said.get("reason", "")),
        error=str(said.get("error", "")),
        traceback=str(said.get("traceback", "")),
        version=str(said.get("version", "")),
        worker=str(said.get("worker", "")),
        died_at=float(at) if isinstance(at, int | float) else 0.0,
        tenant=_text(headers, "tenant"),
        priority=_text(headers, "priority") or Priority.NORMAL,
        ordering_key=_text(headers, "key"),
        trace=_trace(headers),
    )


def due_of(headers: Mapping[str, str], stored_at: float) -> float:
    """Since when it waits, unix seconds."""
    return (_number(headers.get("due"), _ms(stored_at)) or _ms(stored_at)) / 1000.0


def parse_time(text: object) -> float:
    """Unix seconds of one of JetStream's moments; 0 for what is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def word(text: str) -> str:
    """A value that a header can hold."""
    return quote(text, safe=_SAFE)


def _text(headers: Mapping[str, str], name: str) -> str:
    return unquote(headers.get(name, ""))


def _trace(headers: Mapping[str, str]) -> TraceContext | None:
    parent = _text(headers, "traceparent")
    return TraceContext(parent, _text(headers, "tracestate")) if parent else None


def _number(value: str | None, default: float) -> float | None:
    if value is None:
        return default
    return float(value) if value.isdecimal() and value.isascii() and len(value) <= _MAX_DIGITS else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
