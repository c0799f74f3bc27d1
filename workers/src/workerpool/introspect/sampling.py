"""Where time goes: stacks, taken many times a second and weighed.

`cpu`: each thread's stack weighs the CPU time that the thread has used since the sample before, by the kernel's
account, so the sum is right however few the samples are; the stack is the one at the end of that time. `wall`: what
runs or waits weighs the time that has passed: the threads of the program and of its lane, and of the event loop the
tasks, each by its awaits.

A sample is taken when the interpreter lets this thread in, so what holds the interpreter's lock in C for long is seen
only at its end.
"""

import asyncio
import threading
import time
from collections import Counter
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from workerpool.introspect.stacks import awaiting, cpu_seconds, outermost_first, shortened, thread_frames

if TYPE_CHECKING:
    from workerpool.introspect.subject import Subject

MOST_SECONDS: Final = 600.0
MOST_PER_SECOND: Final = 1000.0


class Mode(StrEnum):
    """What a stack weighs."""

    CPU = "cpu"
    WALL = "wall"


class Sampler:
    """Takes the stacks of one process."""

    def __init__(self, subject: "Subject", mode: Mode) -> None:
        self._subject = subject
        self._mode = mode
        self._cpu: dict[int | None, float] = {}
        self.weights: Counter[str] = Counter()
        """Microseconds by stack: its levels from the outermost on, with semicolons between them."""
        self.samples = 0

    def run(self, *, seconds: float, per_second: float) -> dict[str, Any]:
        """Sample for so long; what came of it.

        Raises:
            ValueError: more than is sensible.
        """
        if not 0 < seconds <= MOST_SECONDS or not 0 < per_second <= MOST_PER_SECOND:
            raise ValueError(f"sample for up to {MOST_SECONDS:g} s, up to {MOST_PER_SECOND:g} times a second")
        began = last = time.monotonic()
        used = time.process_time()
        self._take(0.0)
        due = began
        while (now := time.monotonic()) < began + seconds:
            due = max(due + 1 / per_second, now)
            time.sleep(due - now)
            now = time.monotonic()
            self._take(now - last)
            last = now
        return {
            "seconds": round(time.monotonic() - began, 3),
            "cpu_seconds": round(time.process_time() - used, 3),
            "samples": self.samples,
            "stacks": dict(self.weights),
        }

    def _take(self, passed: float) -> None:
        for thread, frame in thread_frames():
            frames = outermost_first(frame)
            if self._mode is Mode.CPU:
                self._add(thread.name, frames, self._used(thread.native_id))
            elif not self._says_nothing(thread, frames):
                self._add(thread.name, frames, passed)
        if self._mode is Mode.WALL and self._subject.loop is not None:
            self._add_tasks(self._subject.loop, passed)
        self.samples += 1

    def _says_nothing(self, thread: threading.Thread, frames: list[FrameType]) -> bool:
        """The runtime's own threads wait all the time, and of the loop's it is the tasks that count."""
        if self._subject.loop is not None and any(one.f_code.co_name == "run_forever" for one in frames):
            return thread is threading.main_thread()
        return thread.name == "sigterm" or (thread.name.startswith("workerpool-") and thread.name != "workerpool-lane")

    def _add_tasks(self, loop: asyncio.AbstractEventLoop, passed: float) -> None:
        types = {one.task: one.job.type for one in self._subject.running()}
        for task in asyncio.all_tasks(loop):
            root = f"job {types[task]}" if task in types else "the runtime's own tasks"
            self._add(root, awaiting(task.get_coro()), passed)

    def _used(self, native_id: int | None) -> float:
        """CPU seconds of a thread since the sample before; of one that is new, none."""
        now = cpu_seconds(native_id)
        used = now - self._cpu.get(native_id, now)
        self._cpu[native_id] = now
        return used

    def _add(self, root: str, frames: list[FrameType], seconds: float) -> None:
        weight = round(seconds * 1e6)
        if weight > 0:
            self.weights[";".join([root, *map(_label, frames)])] += weight


def _label(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname} ({shortened(code.co_filename)}:{code.co_firstlineno})".replace(";", ",")
