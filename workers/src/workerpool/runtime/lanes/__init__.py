"""Lanes: where a handler runs.

| Kind | Runs in | For | A timeout |
|---|---|---|---|
| io | the worker's event loop, one task a job | `async def` that awaits | cancels the task |
| thread | a thread of its own per job | functions that block | gives the thread up: nobody can kill one |
| cpu | a process of its own per job | functions that compute | kills the process |

To the rest of the runtime a job in any lane is a task that can be cancelled: `bind` makes of the user's function a
coroutine function, so the way of an io job is as short as if there were no lanes. A lane learns of a timeout, of a
drain and of a lost lease in the same way, as the cancellation of that coroutine. Where one call does a batch of jobs
(`runtime.batches`), "job" here means that call.

Each lane has slots of its own (`lanes.plan`), so one that stands still cannot take those of another. A job whose lane
is full is handed back to its queue (`runtime.rotation`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workerpool._job import Job
from workerpool.errors import RejectJob
from workerpool.telemetry.metrics import Threads

if TYPE_CHECKING:
    from workerpool._batch import Batch
    from workerpool.guards.breaker import Breaker

Given = Job | list[Job]
"""What a handler is given: a list where it does batches."""
Bound = Callable[[Any], Awaitable[object]]
"""Runs one job, or one batch (`Given`, as its handler has it); cancelled, it ends soon."""


class Kind(StrEnum):
    """Where a handler runs; also the label `lane` of metrics."""

    IO = "io"
    """In the event loop."""
    THREAD = "thread"
    """In a thread."""
    CPU = "cpu"
    """In a process."""


class Handler(NamedTuple):
    """What a program registered for a type of job."""

    function: Callable[[Any], Any]
    """Plain or `async def`; takes a job, or a list of jobs."""
    timeout: float | None
    """Seconds."""
    kind: Kind
    slow: float | None = None
    """Seconds from which on an attempt is slow; None: as the contract says."""
    breaker: "Breaker | None" = None
    fallback: Callable[[Any], Any] | None = None
    """What runs while the breaker's circuit is open; takes what the function takes."""
    batch: "Batch | None" = None
    """How its jobs are gathered; None: it takes them one by one."""


def within(timeout: float | None, run: Bound) -> Bound:
    """The same, cancelled after so many seconds, and TimeoutError."""
    if timeout is None:
        return run

    async def timed(given: Given) -> None:
        async with asyncio.timeout(timeout):
            await run(given)

    return timed


class Lane(Protocol):
    """Runs the handlers of one kind."""

    @property
    def slots(self) -> int:
        """How many jobs it can run at a time now."""
        ...

    @property
    def turns(self) -> asyncio.Semaphore | None:
        """What a batch holds while it runs, where fewer calls than jobs fit in; None: there is room for all calls."""
        ...

    def bind(self, handler: Handler) -> Bound:
        """What runs the handler here, for no longer than its timeout.

        Raises:
            ConfigurationError: it cannot be run here.
        """
        ...

    def threads(self) -> Threads:
        """What its threads or processes do now; zeros when it has none."""
        ...

    def cpu_seconds(self) -> float:
        """CPU time that its handlers have used in threads of their own."""
        ...

    def processes(self) -> Sequence[int]:
        """Pids of the processes that it runs jobs in, beside the worker's own."""
        ...

    def problem(self) -> str:
        """Why this lane can never run a job again; empty while it can."""
        ...

    async def close(self) -> None:
        """No job runs here any more. Waits for nothing that a handler holds up."""
        ...


class HandlerFailed(Exception):  # noqa: N818  it says what happened
    """A handler raised in another process: its text and traceback are all that came over.

    Attributes:
        text: Name of the exception and what it says.
        trace: The traceback there.
    """

    def __init__(self, text: str, *, trace: str = "") -> None:
        super().__init__(text)
        self.text, self.trace = text, trace


class HandlerRejected(HandlerFailed, RejectJob):
    """What it raised was `RejectJob`."""


class NotHere(Exception):  # noqa: N818  it says what happened
    """The handler cannot run in its lane now: hand the job back, its attempt does not count.

    Attributes:
        pause: Seconds for which its slot is to stay taken.
    """

    def __init__(self, *, pause: float = 0.0) -> None:
        super().__init__()
        self.pause = pause


class ProcessDied(Exception):  # noqa: N818  it says what happened
    """The process that ran a handler ended under it; the text says how."""
