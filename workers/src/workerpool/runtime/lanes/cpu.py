"""The cpu lane: functions that compute, each job in a process of its own.

The pool is our own. `ProcessPoolExecutor` cannot end one job: when any of its processes dies, all of them are ended and
all of their jobs fail with BrokenProcessPool, and a job that has begun cannot be cancelled. Here a process runs one job
at a time, so to end a job is to end its process, and the others do not notice. Nor are these processes made by
`multiprocessing`: its spawn runs the program's `__main__` again, starts a resource tracker beside each worker, and does
not end its children when the worker is killed (see `child`).

A process is started when a job needs one, and kept. It is replaced between two jobs when it has run so many, or has
grown so large, as `Recycle` allows, or when it is about to have too many files open.

A batch goes over to its process in one message, and what became of its jobs comes back in one: for a job of a few
microseconds that is most of what it costs. A lane with batches has slots for more jobs than processes; what finds all
processes at work waits here for its turn.
"""

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from workerpool._job import Job
from workerpool.runtime.lanes import Bound, Given, Handler, ProcessDied
from workerpool.runtime.lanes.address import Address, address_of
from workerpool.runtime.lanes.frames import PLAIN_FIELDS
from workerpool.runtime.lanes.process import Answer, ChildProcess, raised
from workerpool.runtime.lanes.shortage import Shortage
from workerpool.runtime.recycle import Recycle
from workerpool.telemetry import logs, tracing
from workerpool.telemetry.metrics import Threads

MOST_OPEN_FILES: Final = 0.8
"""Of what a process may open: one with more is replaced before its jobs fail by it."""
_STARTS: Final = 3
"""Processes that may die before they begin with a job, one after the other, until the job fails by it."""


_plain = attrgetter(*PLAIN_FIELDS)
"""What of a job can go over to another process: its data, not what this process has made for it."""


class CpuLane:
    """At most `slots` processes, or as many as are named."""

    def __init__(
        self,
        slots: int,
        *,
        recycle: Recycle,
        log_fields: Mapping[str, str],
        log: Any,
        processes: int | None = None,
    ) -> None:
        """`log_fields`: pool, version and worker. `processes`: where several jobs may share one."""
        self.slots = slots
        self.turns = None if processes is None else asyncio.Semaphore(processes)
        self._recycle = recycle
        self._log_fields = log_fields
        self._log = log
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._shortage = Shortage(of="process", log=log)

    def bind(self, handler: Handler) -> Bound:
        """A function at the top level of its module, plain or `async def`; there it has an event loop of its own."""
        address, timeout, turns = address_of(handler.function), handler.timeout, self.turns

        async def run(given: Given) -> None:
            await self._run(address, timeout, given)

        async def run_in_turn(job: Job) -> None:
            assert turns is not None
            async with turns:
                await self._run(address, timeout, job)

        return run if turns is None or handler.batch is not None else run_in_turn  # a batch has its turn already

    def threads(self) -> Threads:
        """Processes. None is ever wedged: they can be killed."""
        return Threads(busy=len(self._busy), idle=len(self._idle), wedged=0)

    def cpu_seconds(self) -> float:
        """None: it has no threads."""
        return 0.0

    def processes(self) -> Sequence[int]:
        """All that there are."""
        return [child.pid for child in (*self._idle, *self._busy)]

    def problem(self) -> str:
        """None can be started. One that is there can always be replaced."""
        return "" if self._busy or self._idle else self._shortage.problem()

    async def close(self) -> None:
        """End all processes."""
        for child in (*self._idle, *self._busy):
            child.kill()
            self._see_off(child)
        self._idle.clear()
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _run(self, address: Address, timeout: float | None, given: Given) -> None:  # noqa: ASYNC109  a handler's
        trace = tracing.current()
        jobs = [given] if isinstance(given, Job) else given
        plain = _plain(given) if isinstance(given, Job) else [_plain(job) for job in jobs]
        order = ("run", tuple(address), plain, dict(logs.bound()), trace and trace.carrier())
        for start in range(1, _STARTS + 1):
            child = self._take()
            try:
                await child.load(address)
                for job in jobs:
                    if job._hold is not None:  # noqa: SLF001  the lanes are what makes it
                        job._hold.begins()  # noqa: SLF001
                async with asyncio.timeout(timeout):  # a process takes its time to start: not the job's
                    await child.run(order, _answers(jobs), jobs=len(jobs))
            except (asyncio.CancelledError, TimeoutError):
                await child.cancel()
                raise
            except ProcessDied:
                if child.took_it or start == _STARTS:
                    raise
                # It died while it was idle, or could not start: not this job's doing.
                self._log.warning("a process of the cpu lane was gone before its job", job_id=jobs[0].id)
            else:
                return
            finally:
                self._put(child)

    def _take(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                break
            self._see_off(child)
        else:
            child = self._start()
        self._busy.add(child)
        return child

    def _start(self) -> ChildProcess:
        try:
            child = ChildProcess(log=self._log_fields)
        except OSError as error:
            raise self._shortage.refused(error) from error
        self._shortage.over()
        return child

    def _put(self, child: ChildProcess) -> None:
        self._busy.discard(child)
        spent = self._recycle.due(jobs=child.jobs, resident_bytes=child.resident_bytes)
        if child.open_files > MOST_OPEN_FILES:
            spent = "its open files run out"
        if child.at_rest and not spent:
            self._idle.append(child)
            return
        if spent:
            self._log.info("a process of the cpu lane is replaced", why=spent)
        child.kill()
        self._see_off(child)

    def _see_off(self, child: ChildProcess) -> None:
        task = asyncio.ensure_future(child.gone())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _answers(jobs: Sequence[Job]) -> Answer:
    """What their handler may ask for, each time for one of them, by its place."""
    trace = tracing.current()

    async def answer(name: str, *arguments: Any) -> Any:
        if name == "spans" and trace is not None:
            trace.adopt(*arguments)
            return
        place, *rest = arguments
        hold = jobs[place]._hold  # noqa: SLF001  the lanes are what makes it
        if name == "checkpoint" and hold is not None:
            await hold.checkpoint(*rest)
        elif name == "skip" and hold is not None:
            hold.skip()
        elif name == "fail" and hold is not None:
            hold.fail(raised(*rest))
        else:
            raise LookupError(name)

    return answer
