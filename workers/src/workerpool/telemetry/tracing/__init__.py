"""Traces, by OpenTelemetry: off unless an OTLP endpoint is configured, and then what this package needs is loaded.

```
 producer                         worker
 send main ──┬─ (job: traceparent) ─► wait main          from when the job was due until it was taken
             │                      ► process main       one attempt, its handler's own spans below
             └───────────────────────   └─ ack main      until the broker has confirmed what became of it
```

All is one trace, over all attempts of a job; the names are those of OpenTelemetry's messaging conventions. This module
is all that a worker without traces loads. The others: `spans` makes the spans of jobs, `tail` decides which of them are
sent, `setup` sends them, `handover` brings those of the cpu lane's processes to the worker, and `contained` keeps its
faults from jobs.
"""

import contextvars
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final, Protocol

from workerpool.broker import NewJob, Taken

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_SECONDS: Final = 2.0
"""How long whoever ends waits at most until its last spans are sent."""


class JobTrace(Protocol):
    """One attempt, as the runtime tells of it. Nothing here raises."""

    def begin(self) -> None:
        """It begins, in this task: what the handler does is part of it."""
        ...

    def batched(self, first: "JobTrace", jobs: int) -> None:
        """It has begun, with so many in one call: what their handler does is part of the first one."""
        ...

    def failed(self, reason: str, text: str, trace: str) -> None:
        """It failed: kind, text and traceback of the error."""
        ...

    def slow(self) -> None:
        """It took longer than is good."""
        ...

    def ended(self, operation: str) -> None:
        """The broker is told now; `operation` says what, and is empty when there is nothing to tell."""
        ...

    def settled(self, *, ours: bool) -> None:
        """The broker has answered; `ours`: the job was still this worker's."""
        ...

    def carrier(self) -> dict[str, str]:
        """What makes a span of another process a part of it: W3C headers."""
        ...

    def adopt(self, spans: Sequence[Any]) -> None:
        """Spans of another process belong to it; see `handover`."""
        ...


class QueueTraces(Protocol):
    """The spans of one queue's jobs. Nothing here raises of itself."""

    def attempt(self, job: Taken) -> JobTrace:
        """A job was taken."""
        ...

    def sending(self, jobs: Sequence[NewJob]) -> AbstractContextManager[list[NewJob]]:
        """Jobs are put inside: the same, with their trace context."""
        ...


class Tracing(Protocol):
    """What makes and sends spans in this process."""

    def of(self, system: str, destination: str) -> QueueTraces:
        """For one queue: the kind of its broker, and its name there."""
        ...

    async def flush(self) -> None:
        """Send what has not been sent, for at most FLUSH_SECONDS. Never raises."""
        ...


def wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces, by OpenTelemetry's own variables."""
    if not any(env.get(name) for name in _ENDPOINTS):
        return False
    return env.get("OTEL_SDK_DISABLED", "").strip().lower() != "true" and env.get("OTEL_TRACES_EXPORTER") != "none"


def tracing() -> Tracing | None:
    """This process' traces; None: they are off, or cannot be had."""
    return _of_this_process() if wanted() else None


@cache
def _of_this_process() -> Tracing | None:
    from workerpool.telemetry.logs import Log  # noqa: PLC0415  a producer has its own logs

    try:
        from workerpool.telemetry.tracing import setup  # noqa: PLC0415  few have it, all would load it

        return setup.tracing()
    except ImportError as error:
        text = "traces are configured and cannot be sent: install workerpool[otel], or set OTEL_SDK_DISABLED=true"
        Log().warning(text, missing=str(error.name))
    except Exception as error:  # noqa: BLE001  whatever OpenTelemetry does not like about its configuration
        Log().error("traces are configured and cannot be set up, working without them", exc_info=error)
    return None


_CURRENT: Final[contextvars.ContextVar[JobTrace | None]] = contextvars.ContextVar("workerpool_trace", default=None)


def current() -> JobTrace | None:
    """The trace of the attempt that runs in this context."""
    return _CURRENT.get()


def set_current(trace: JobTrace) -> None:
    """For this task, and the tasks that it starts."""
    _CURRENT.set(trace)
