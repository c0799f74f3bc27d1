"""What a process answers."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from types import CodeType
from typing import Any

from workerpool._job import Job
from workerpool.introspect import stacks
from workerpool.introspect.sampling import Mode, Sampler
from workerpool.introspect.subject import Subject
from workerpool.runtime.lanes import child, thread


def answer_to(question: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """Answer `{"want": "dump"}` or `{"want": "profile", "seconds": ..., "per_second": ..., "mode": "cpu"|"wall"}`.

    Raises:
        ValueError: it is neither, or asks for too much.
    """
    match question:
        case {"want": "dump"}:
            return _dump(subject)
        case {"want": "profile", "seconds": float() | int(), "per_second": float() | int(), "mode": str(mode)}:
            sampler = Sampler(subject, Mode(mode))
            found = sampler.run(seconds=float(question["seconds"]), per_second=float(question["per_second"]))
            return {"process": subject.process(), "mode": mode, **found}
    raise ValueError(f"this worker does not know how to answer {question!r}")


def _dump(subject: Subject) -> dict[str, Any]:
    return {
        "process": subject.process(),
        "taken_at": time.time(),
        "jobs": [asdict(row) for row in subject.jobs()],
        "endpoints": [endpoint.standing() for endpoint in subject.endpoints.values()],
        "stacks": [_plain(one) for one in (*stacks.tasks(subject), *stacks.threads(_JOB_OF))],
    }


def _plain(stack: stacks.Stack) -> dict[str, Any]:
    return {**vars(stack), "lines": [line._asdict() for line in stack.lines]}


_JOB_OF: dict[CodeType, Any] = {
    thread._Call.run.__code__: lambda names: names["self"].job_id,  # noqa: SLF001
    child._Child._run.__code__: lambda names: _ids(names["given"]),  # noqa: SLF001
}
"""The lanes' own functions below a handler."""


def _ids(given: Job | list[Job]) -> str:
    """Of a batch those of all its jobs."""
    return given.id if isinstance(given, Job) else ", ".join(job.id for job in given)
