"""A line for each pool: pure. Takes objects as the API server gives them, of this operator or of another release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

Json = Mapping[str, Any]

UNKNOWN: Final = "-"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One pool, for people. `-` stands where nothing is known."""

    namespace: str
    name: str
    ready: str
    """Of its condition Ready: True, False or Unknown."""
    workers: str
    """Ready ones of those that are there."""
    desired: str
    depth: str
    in_flight: str
    version: str
    """Of the stable workers: its hash; with more than one, how many others there are."""
    age: str
    mode: str
    limited_by: str
    reason: str
    """Why it is not Ready, or why it has this size."""

    @classmethod
    def of(cls, pool: Json, *, now: datetime) -> "Row":
        """Of a WorkerPool."""
        status: Json = pool.get("status") or {}
        scaling: Json = status.get("scaling") or {}
        ready = condition(pool, "Ready")
        state = str(ready.get("status", "Unknown"))
        return cls(
            namespace=pool["metadata"].get("namespace", ""),
            name=pool["metadata"]["name"],
            ready=state,
            workers=f"{status.get('readyReplicas', 0)}/{status.get('replicas', 0)}",
            desired=known(scaling.get("desired")),
            depth=known(scaling.get("depth")),
            in_flight=known(_in_flight(status)),
            version=_version(status),
            age=age(pool["metadata"].get("creationTimestamp"), now=now),
            mode=scaling.get("mode") or UNKNOWN,
            limited_by=",".join(scaling.get("limitedBy") or ()) or UNKNOWN,
            reason=scaling.get("reason") or UNKNOWN if state == "True" else str(ready.get("message") or state),
        )


def condition(pool: Json, kind: str) -> Json:
    """One of its conditions; empty before the first was written, and where it is about another generation."""
    status: Json = pool.get("status") or {}
    found: Json = next((one for one in status.get("conditions") or () if one.get("type") == kind), {})
    if found.get("observedGeneration", 0) < pool["metadata"].get("generation", 0):
        return {"status": "Unknown", "message": "the operator has not acted on the last change yet"}
    return found


def known(figure: object) -> str:
    """A figure, or that there is none."""
    return UNKNOWN if figure is None else str(figure)


def age(stamp: str | None, *, now: datetime) -> str:
    """How long ago a time of the API server was, in its largest unit, as kubectl tells it."""
    if (then := when(stamp)) is None:
        return UNKNOWN
    seconds = max(0, int((now - then).total_seconds()))
    for unit, letter in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= 2 * unit:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"


def when(stamp: str | None) -> datetime | None:
    """A time of the API server; None where there is none."""
    return datetime.fromisoformat(stamp).astimezone(UTC) if stamp else None


def _in_flight(status: Json) -> int | None:
    queues: Sequence[Json] = status.get("queues") or ()
    counts = [one["inFlight"] for one in queues if one.get("inFlight") is not None]
    return sum(counts) if counts else None


def _version(status: Json) -> str:
    versions: Sequence[Json] = status.get("versions") or ()
    stable = next((one["hash"] for one in versions if one.get("role") == "stable"), UNKNOWN)
    return f"{stable} +{len(versions) - 1}" if len(versions) > 1 else stable
