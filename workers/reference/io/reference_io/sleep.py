"""Job type `sleep`: a job of known length, for load, demo and tests."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from workerpool import Job, RejectJob

TIMEOUT_SECONDS: Final = 120.0
MAX_SECONDS: Final = 100.0


class ToldToFailError(Exception):
    """The payload asked for this failure."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """The payload."""

    seconds: float
    record: bool
    fail_attempts: int
    """So many first attempts fail."""

    @classmethod
    def parse(cls, payload: Any) -> "Sleep":
        """Check the payload.

        Raises:
            RejectJob: no attempt can succeed with it.
        """
        if not isinstance(payload, dict):
            raise RejectJob('the payload must be an object, such as {"seconds": 0.1}')
        seconds, record, fail = (
            payload.get("seconds", 0.1),
            payload.get("record", False),
            payload.get("fail_attempts", 0),
        )
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
            raise RejectJob(f"seconds must be a number from 0 to {MAX_SECONDS:g}")
        if not isinstance(record, bool) or not isinstance(fail, int):
            raise RejectJob("record must be true or false, and fail_attempts a whole number")
        return cls(float(seconds), record, fail)


async def sleep(job: Job) -> None:
    """Wait, and tell when where that is asked for: before the wait, and after it but before the acknowledgement."""
    wish = Sleep.parse(job.payload)
    if wish.record:
        await job.context.records.tell("start", job)
    await asyncio.sleep(wish.seconds)
    fails = job.attempt <= wish.fail_attempts
    if wish.record:
        await job.context.records.tell("fail" if fails else "finish", job)
    if fails:
        raise ToldToFailError(f"attempt {job.attempt} of {wish.fail_attempts} that were to fail")
