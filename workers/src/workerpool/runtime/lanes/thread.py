"""The thread lane: functions that block, each in a thread of its own.

Nobody can kill a thread. When its job is cancelled the handler is told (`job.cancelled`) and has a moment to end; then
the job has ended for everyone but the thread, which is given up: another one takes its place and the lane keeps all of
its slots. That is allowed for as many threads as the lane has slots. Each one beyond costs its slot, and the lane says
that it has a problem: it cannot be built anew, only the process can. A thread that returns after all is used again.

`ThreadPoolExecutor` cannot do this: it has no way to give up a thread, and waits for it when the process ends. These
are daemon threads, so that a wedged one does not keep the process.
"""

import asyncio
import contextlib
import contextvars
import inspect
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, Final

from workerpool._job import Job
from workerpool.runtime.lanes import Bound, Given, Handler, within
from workerpool.runtime.lanes.shortage import Shortage
from workerpool.telemetry.metrics import Threads

HEED_SECONDS: Final = 1.0
"""How long a cancelled handler has to end before its thread is given up."""


class ThreadLane:
    """Threads that are started when they are needed, and kept."""

    turns = None

    def __init__(self, slots: int, *, resized: Callable[[], None], log: Any) -> None:
        """`resized` is called when `slots` has changed."""
        self._allowed = slots
        self._resized = resized
        self._log = log
        self._idle: list[_Thread] = []
        self._busy = 0
        self._wedged = 0
        self._cpu_seconds = 0.0
        self._shortage = Shortage(of="thread", log=log)

    @property
    def slots(self) -> int:
        """Falls when more threads are wedged than may be replaced."""
        return self._allowed - max(0, self._wedged - self._allowed)

    def bind(self, handler: Handler) -> Bound:
        """Any callable; an `async def` gets an event loop of its own, for each job."""
        function = handler.function

        async def run(given: Given) -> object:
            return await self._run(_Call(function, given, asyncio.get_running_loop()))

        return within(handler.timeout, run)

    def threads(self) -> Threads:
        """Wedged ones included, which are in use and beyond the slots."""
        return Threads(busy=self._busy, idle=len(self._idle), wedged=self._wedged)

    def cpu_seconds(self) -> float:
        """Of the calls that have ended."""
        return self._cpu_seconds

    def processes(self) -> Sequence[int]:
        """None."""
        return ()

    def problem(self) -> str:
        """Too many threads are wedged, or there are none."""
        if self._wedged <= self._allowed:
            return "" if self._busy or self._idle else self._shortage.problem()
        return f"{self._wedged} threads are wedged in handlers that do not end: their calls need timeouts"

    async def close(self) -> None:
        """End the idle threads; the others end with the process."""
        for thread in self._idle:
            thread.end()
        self._idle.clear()

    async def _run(self, call: "_Call") -> object:
        thread = self._idle.pop() if self._idle else self._start()
        self._busy += 1
        thread.run(call)
        ended = call.ended
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait([ended], timeout=HEED_SECONDS)
            if not ended.done() or ended.exception() is not None:
                raise
        finally:
            self._busy -= 1
            if ended.done():
                self._cpu_seconds += call.cpu_seconds
                self._idle.append(thread)
            else:
                self._give_up(thread, call)
        return ended.result()

    def _start(self) -> "_Thread":
        try:
            thread = _Thread()
        except RuntimeError as error:
            raise self._shortage.refused(error) from error
        self._shortage.over()
        return thread

    def _give_up(self, thread: "_Thread", call: "_Call") -> None:
        self._wedged += 1
        self._log.warning("a handler does not end, its thread is given up", job_id=call.job_id, wedged=self._wedged)
        if self._wedged > self._allowed:
            self._log.error("too many threads are wedged, the thread lane loses a slot", slots=self.slots)
            self._resized()

        def came_back(ended: "asyncio.Future[object]") -> None:
            ended.exception()  # nobody else asks for it
            short = self._wedged > self._allowed
            self._wedged -= 1
            if self._busy + len(self._idle) < self._allowed:
                self._idle.append(thread)
            else:
                thread.end()
            if short:
                self._resized()

        call.ended.add_done_callback(came_back)


class _Hold:
    """The job's, in its thread: it learns by itself of its cancellation."""

    def __init__(self, job: Job, told: threading.Event) -> None:
        self._hold = job._hold  # noqa: SLF001  the lanes are what makes it
        self._told = told

    async def checkpoint(self, state: bytes) -> None:
        if self._hold is not None:
            await self._hold.checkpoint(state)

    def checkpoint_sync(self, state: bytes) -> None:
        if self._hold is not None:
            self._hold.checkpoint_sync(state)

    def skip(self) -> None:
        if self._hold is not None:
            self._hold.skip()

    def fail(self, error: Exception | str) -> None:
        if self._hold is not None and not self._told.is_set():  # by then its job may run once more, without this thread
            self._hold.fail(error)

    def begins(self) -> None:
        """A thread is there at once."""

    def told_to_stop(self) -> bool:
        return self._told.is_set() or (self._hold is not None and self._hold.told_to_stop())


class _Call:
    """One job, or one batch, as both sides see it."""

    def __init__(self, function: Callable[[Any], Any], given: Given, loop: asyncio.AbstractEventLoop) -> None:
        self._told = threading.Event()
        self._given: Given = self._held(given) if isinstance(given, Job) else [self._held(job) for job in given]
        self.ended: asyncio.Future[object] = loop.create_future()
        self.cpu_seconds = 0.0
        self._function = function
        self._loop = loop
        self._context = contextvars.copy_context()
        self._stop: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def _held(self, job: Job) -> Job:
        return replace(job, _hold=_Hold(job, self._told))

    @property
    def job_id(self) -> str:
        """For logs; of a batch the ids of all."""
        return self._given.id if isinstance(self._given, Job) else ", ".join(job.id for job in self._given)

    def cancel(self) -> None:
        """Tell the handler. An `async def` is cancelled at its next await."""
        with self._lock:
            self._told.set()
            if self._stop is not None:
                self._stop()

    def run(self) -> None:
        """In the thread."""
        result: object = None
        error: BaseException | None = None
        began = time.thread_time()
        try:
            result = self._context.run(self._call)
        except StopIteration:  # which no future can hold
            error = RuntimeError("the handler raised StopIteration")
        except BaseException as raised:  # noqa: BLE001  whatever it is, it is this job's failure
            error = raised
        self.cpu_seconds = time.thread_time() - began
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has left without this thread
            self._loop.call_soon_threadsafe(self._end, result, error)

    def _call(self) -> object:
        if not inspect.iscoroutinefunction(self._function):
            return self._function(self._given)
        with asyncio.Runner() as runner:
            return runner.run(self._await())

    async def _await(self) -> object:
        task, loop = asyncio.ensure_future(self._function(self._given)), asyncio.get_running_loop()
        with self._lock:
            self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._told.is_set():
                task.cancel()
        try:
            return await task
        finally:
            with self._lock:
                self._stop = None

    def _end(self, result: object, error: BaseException | None) -> None:
        if error is None:
            self.ended.set_result(result)
        else:
            self.ended.set_exception(error)


class _Thread:
    """A thread that runs one call after another."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        threading.Thread(target=self._work, name="workerpool-lane", daemon=True).start()

    def run(self, call: _Call) -> None:
        self._calls.put(call)

    def end(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        process = os.getpid()
        while (call := self._calls.get()) is not None:
            call.run()
            if os.getpid() != process:
                # The handler forked and came back here in the child, which has the worker's connections.
                os._exit(0)
            del call
