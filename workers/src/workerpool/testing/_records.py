"""What a played run shows."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from workerpool.broker import DeadJob, Taken
from workerpool.telemetry import logs


class Outcome(StrEnum):
    """How an attempt ended."""

    RUNNING = "running"
    """It has not."""
    DONE = "done"
    """The broker has forgotten the job."""
    RETRIED = "retried"
    """It failed, and is tried again after `delay`."""
    DEAD = "dead"
    """It failed for good: see `Played.dead`."""
    HANDED_BACK = "handed back"
    """Its worker left or had no room; the attempt does not count."""
    LOST = "lost"
    """It ended after its lease: the job was someone else's by then."""
    KILLED = "killed"
    """Its worker was killed under it."""


@dataclass(slots=True)
class Attempt:
    """One run of a job, from the moment when a worker took it."""

    number: int
    """Counts from 1."""
    worker: str
    began: float
    """Played seconds."""
    ended: float | None = None
    outcome: Outcome = Outcome.RUNNING
    error: str = ""
    delay: float | None = None
    """Of a retry, in seconds."""
    checkpoints: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Played:
    """A job."""

    id: str
    type: str
    attempts: list[Attempt] = field(default_factory=list)
    dead: DeadJob | None = None

    @property
    def outcome(self) -> Outcome:
        """Of the latest attempt."""
        return self.attempts[-1].outcome

    @property
    def ended(self) -> bool:
        """Whether no attempt is to come."""
        return any(attempt.outcome in {Outcome.DONE, Outcome.DEAD} for attempt in self.attempts)

    @property
    def checkpoints(self) -> list[Any]:
        """Of all attempts, in order."""
        return [state for attempt in self.attempts for state in attempt.checkpoints]


@dataclass(frozen=True, slots=True)
class Line:
    """What a worker logged."""

    at: float
    """Played seconds."""
    worker: str
    level: str
    event: str
    fields: Mapping[str, Any]


class Records:
    """All jobs that were taken, by id in the order in which they came, and all log lines."""

    def __init__(self) -> None:
        self.jobs: dict[str, Played] = {}
        self.lines: list[Line] = []
        self.over = False
        """How the end of a run is tidied up is no part of it."""
        self._by_token: dict[str, Attempt] = {}

    def began(self, job: Taken, worker: str) -> None:
        """It was taken."""
        attempt = self._by_token[job.token] = Attempt(job.attempt, worker, _now())
        if not self.over:
            self.jobs.setdefault(job.job_id, Played(job.job_id, job.type)).attempts.append(attempt)

    def checkpointed(self, job: Taken, state: bytes) -> None:
        """The broker has it."""
        if not self.over:
            self._by_token[job.token].checkpoints.append(json.loads(state))

    def ended(self, job: Taken, outcome: Outcome, *, delay: float | None = None, dead: DeadJob | None = None) -> None:
        """The broker knows how an attempt ended; `delay` of a retry, `dead` of a dead letter."""
        if self.over:
            return
        attempt = self._by_token[job.token]
        attempt.outcome, attempt.ended, attempt.delay = outcome, _now(), delay
        attempt.error = self._error(job.job_id, job.attempt)
        if dead is not None:
            self.jobs[job.job_id].dead = dead

    def killed(self, worker: str) -> None:
        """Nothing that it ran goes on."""
        for played in self.jobs.values():
            for attempt in played.attempts:
                if attempt.worker == worker and attempt.outcome is Outcome.RUNNING:
                    attempt.outcome, attempt.ended = Outcome.KILLED, _now()

    def logged(self, worker: str, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """A worker said something."""
        if not self.over:
            self.lines.append(Line(_now(), worker, level, event, {**logs.bound(), **fields}))

    def _error(self, job_id: str, number: int) -> str:
        """What was logged as this attempt's error."""
        for line in reversed(self.lines):
            fields = line.fields
            if "error" in fields and (fields.get("job_id"), fields.get("attempt")) == (job_id, number):
                return str(fields["error"])
        return ""


class PlayedLog:
    """Keeps what a worker says; see `workerpool.telemetry.logs.Log`."""

    def __init__(self, worker: str, records: Records) -> None:
        self._worker = worker
        self._records = records

    def debug(self, event: str, **fields: Any) -> None:
        """For who looks into the package."""
        self._records.logged(self._worker, "debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """A step in the worker's life."""
        self._records.logged(self._worker, "info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something is wrong and will be tried again."""
        self._records.logged(self._worker, "warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something is wrong for good."""
        self._records.logged(self._worker, "error", event, fields)


def _now() -> float:
    return asyncio.get_running_loop().time()
