"""Where threads and tasks are, and what they wait for. Read from a thread of its own, while they go on."""

import asyncio
import linecache
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from workerpool.introspect.subject import Subject

_DEEPEST: Final = 200
_OWN_THREADS: Final = "workerpool-introspect"
_GLANCE_SECONDS: Final = 0.05
_ON_CPU: Final = 0.2
"""Of the time between two glances that a thread had a CPU, or waited for one: from here on it computes."""

_WAITS: Final[dict[tuple[str, str], str]] = {
    ("workerpool/guards/endpoint.py", "__aenter__"): "an endpoint's turn",
    ("workerpool/guards/endpoint.py", "__enter__"): "an endpoint's turn",
    ("asyncio/locks.py", "acquire"): "a lock",
    ("asyncio/locks.py", "wait"): "an event",
    ("asyncio/queues.py", "get"): "a queue",
    ("asyncio/queues.py", "put"): "a queue",
    ("asyncio/tasks.py", "sleep"): "time",
    ("asyncio/tasks.py", "wait"): "other tasks",
    ("asyncio/tasks.py", "gather"): "other tasks",
    ("asyncio/taskgroups.py", "__aexit__"): "other tasks",
    ("asyncio/streams.py", "_wait_for_data"): "the network",
    ("asyncio/streams.py", "_drain_helper"): "the network",
    ("asyncio/selector_events.py", "sock_recv"): "the network",
    ("asyncio/selector_events.py", "sock_connect"): "the network",
    ("asyncio/threads.py", "to_thread"): "a thread",
    ("aiohttp/streams.py", "_wait"): "the network",
    ("aiohttp/connector.py", "connect"): "a connection",
    ("anyio/_backends/_asyncio.py", "receive"): "the network",
    ("socket.py", "readinto"): "the network",
    ("socket.py", "accept"): "the network",
    ("socket.py", "create_connection"): "the network",
    ("ssl.py", "read"): "the network",
    ("ssl.py", "recv"): "the network",
    ("threading.py", "acquire"): "a lock",
    ("threading.py", "wait"): "an event",
    ("threading.py", "join"): "a thread",
    ("queue.py", "get"): "a queue",
    ("queue.py", "put"): "a queue",
    ("concurrent/futures/_base.py", "result"): "a thread",
    ("subprocess.py", "wait"): "a program",
    ("subprocess.py", "_communicate"): "a program",
    ("selectors.py", "select"): "the network",
}
"""By the end of a file's path and the name of a function in it."""


class Line(NamedTuple):
    """One level of a stack."""

    file: str
    line: int
    function: str
    code: str = ""


@dataclass(frozen=True)
class Stack:
    """A thread or a task.

    Attributes:
        kind: `thread` or `task`.
        job_id: The job that it runs; empty: none that is known.
        state: `computes`, `waits` or, of a task that is the one that its loop runs now, `runs`.
        waits_for: What it waits for, in a word; empty where that cannot be told.
        lines: Outermost first.
    """

    kind: str
    name: str
    job_id: str
    state: str
    waits_for: str
    lines: list[Line]


def threads(job_of: dict[CodeType, Any]) -> list[Stack]:
    """All threads of this process but those that look. `job_of`: see `job_in`."""
    before = _runnable_seconds()
    began = time.monotonic()
    time.sleep(_GLANCE_SECONDS)
    passed, after = time.monotonic() - began, _runnable_seconds()
    found = []
    for thread, frame in thread_frames():
        used = after.get(thread.native_id, 0.0) - before.get(thread.native_id, 0.0)
        lines = [_line(one) for one in outermost_first(frame)]
        # What it has waited for a CPU is told only when it has got one: until then it is just ready.
        computes = used > _ON_CPU * passed or _ready(thread.native_id)
        found.append(
            Stack(
                "thread",
                thread.name,
                job_in(frame, job_of),
                "computes" if computes else "waits",
                "" if computes else _waits_for(lines),
                lines,
            )
        )
    return found


def tasks(subject: "Subject") -> list[Stack]:
    """All tasks of the process's loop that are not done."""
    if subject.loop is None:
        return []
    jobs = {one.task: one.job.job_id for one in subject.running() if one.task is not None}
    current = asyncio.current_task(subject.loop)
    found = []
    for task in asyncio.all_tasks(subject.loop):
        lines = [_line(one) for one in awaiting(task.get_coro())]
        runs = task is current
        waits_for = "" if runs else _waits_for(lines)
        found.append(Stack("task", task.get_name(), jobs.get(task, ""), "runs" if runs else "waits", waits_for, lines))
    return sorted(found, key=lambda stack: (not stack.job_id, stack.name))


def thread_frames() -> Iterator[tuple[threading.Thread, FrameType]]:
    """Each thread with its innermost frame."""
    frames = sys._current_frames()  # noqa: SLF001  there is no public one
    for thread in threading.enumerate():
        if thread.name != _OWN_THREADS and thread.ident in frames:
            yield thread, frames[thread.ident]


def outermost_first(frame: FrameType | None) -> list[FrameType]:
    """The stack that ends with this frame."""
    found: list[FrameType] = []
    while frame is not None and len(found) < _DEEPEST:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]


def awaiting(awaited: Any) -> list[FrameType]:
    """The coroutines that a task is in, each awaiting the next one."""
    found: list[FrameType] = []
    while awaited is not None and len(found) < _DEEPEST:
        for prefix, inner in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            if hasattr(awaited, f"{prefix}_frame"):
                frame, awaited = getattr(awaited, f"{prefix}_frame"), getattr(awaited, inner)
                break
        else:
            break  # a future, or an iterator in C
        if frame is not None:
            found.append(frame)
    return found


def job_in(frame: FrameType | None, job_of: dict[CodeType, Any]) -> str:
    """The id of the job that this stack runs, from the frame of the lane's own function below the handler.

    `job_of` tells of the code of such functions how to get the id from the frame's variables.
    """
    while frame is not None:
        if frame.f_code in job_of:
            try:
                return str(job_of[frame.f_code](frame.f_locals))
            except (KeyError, AttributeError):  # it has only just begun
                return ""
        frame = frame.f_back
    return ""


def _line(frame: FrameType) -> Line:
    code, number = frame.f_code, frame.f_lineno or 0
    text = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    return Line(shortened(code.co_filename), number, code.co_qualname, text)


@cache
def shortened(path: str) -> str:
    """A path without where Python and its packages lie, or the program."""
    for folder in sorted({*sys.path, sys.prefix, sys.base_prefix}, key=len, reverse=True):
        if folder and path.startswith(folder + os.sep):
            return path[len(folder) + 1 :]
    return path


def _waits_for(lines: list[Line]) -> str:
    for line in reversed(lines[-4:]):
        function = line.function.rpartition(".")[2]
        for (file, name), what in _WAITS.items():
            if function == name and (line.file == file or line.file.endswith("/" + file)):
                return what
    return ""


def _runnable_seconds() -> dict[int | None, float]:
    """How long each thread, by its native id, has had a CPU so far, or waited for one."""
    return {thread.native_id: sum(_scheduled(thread.native_id)) for thread in threading.enumerate()}


def cpu_seconds(native_id: int | None) -> float:
    """CPU time of a thread of this process so far; 0 where the kernel does not tell."""
    return _scheduled(native_id)[0]


def _scheduled(native_id: int | None) -> tuple[float, float]:
    """Seconds on a CPU, and seconds of waiting for one (/proc/PID/task/TID/schedstat)."""
    try:
        with open(f"/proc/self/task/{native_id}/schedstat", "rb") as file:  # noqa: PTH123  at each sample of each thread
            on_cpu, waited = file.read().split()[:2]
    except (OSError, ValueError):
        return 0.0, 0.0
    return int(on_cpu) / 1e9, int(waited) / 1e9


def _ready(native_id: int | None) -> bool:
    """Whether a thread runs at this moment, or could."""
    try:
        with open(f"/proc/self/task/{native_id}/stat", "rb") as file:  # noqa: PTH123  as above
            return file.read().rpartition(b")")[2].split()[0] == b"R"
    except (OSError, IndexError):
        return False
