"""What a process tells of itself beside its stacks."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workerpool.guards.endpoint import Endpoint
    from workerpool.runtime.inflight import InFlight, Running


@dataclass(frozen=True)
class JobRow:
    """A job in flight.

    Attributes:
        state: `waits` for its lane, `runs`, is `cancelled` and has not ended, or `settles`: it has ended, and the
            broker does not know.
        age_seconds: Since it began, or since it was taken where it has not.
    """

    queue: str
    job_id: str
    type: str
    attempt: int
    tenant: str
    state: str
    age_seconds: float
    timeout_seconds: float | None
    lane: str


@dataclass(frozen=True)
class Subject:
    """A process that is looked at.

    Attributes:
        about: Who it is: role, pool, version.
        loop: Its event loop, if it has one of its own.
    """

    about: Mapping[str, Any]
    loop: asyncio.AbstractEventLoop | None = None
    in_flight: "InFlight | None" = None
    endpoints: "Mapping[str, Endpoint]" = field(default_factory=dict)

    def jobs(self) -> list[JobRow]:
        """The jobs in flight, oldest first."""
        rows = [_row(one, self.loop.time()) for one in self.running() if self.loop is not None]
        return sorted(rows, key=lambda row: -row.age_seconds)

    def running(self) -> "Sequence[Running]":
        """The same, as the runtime knows them."""
        return tuple(self.in_flight or ())

    def process(self) -> dict[str, Any]:
        """Who it is, and how large."""
        from workerpool.telemetry.process import open_files, resident_bytes  # noqa: PLC0415

        used, allowed = open_files()
        sizes = {"resident_bytes": resident_bytes(), "open_files": used, "open_files_allowed": allowed}
        return {"pid": os.getpid(), "parent": os.getppid(), **self.about, **sizes}


def _row(one: "Running", now: float) -> JobRow:
    if one.settling:
        state = "settles"
    elif one.cancelled is not None:
        state = "cancelled"
    else:
        state = "waits" if one.started_at is None else "runs"
    return JobRow(
        queue=one.queue,
        job_id=one.job.job_id,
        type=one.job.type,
        attempt=one.job.attempt,
        tenant=one.job.tenant,
        state=state,
        age_seconds=round(now - (one.taken_at if one.started_at is None else one.started_at), 3),
        timeout_seconds=one.timeout,
        lane="" if one.station is None else one.station.kind.value,
    )
