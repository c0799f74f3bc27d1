"""Four ways to run the same jobs."""

import asyncio
import contextlib
import inspect
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from workerpool import Job
from workerpool_operator.cli.programs import Program, load


class Mode(StrEnum):
    """How jobs are run."""

    SEQUENTIAL = "sequential"
    """One after the other."""
    THREADED = "threaded"
    """In threads."""
    ASYNCIO = "asyncio"
    """In the event loop; a plain function blocks it."""
    PROCESS = "process"
    """In processes, one for each core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a program is: what another process needs to load it."""

    program: str
    type: str
    payload: Any

    def load(self) -> Program:
        """Import it."""
        return load(self.program, job_type=self.type, payload=self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What runs the jobs of one mode once."""

    mode: Mode
    program: Program
    context: Any
    """What the lifespan yielded; jobs in processes, and coroutines in threads, get none: it belongs to this loop."""
    jobs: int
    width: int
    executor: Executor | None

    async def once(self) -> None:
        """Run all jobs."""
        jobs = [self.program.job(number, context=self.context) for number in range(self.jobs)]
        match self.mode:
            case Mode.SEQUENTIAL:
                await self._one_by_one(jobs)
            case Mode.ASYNCIO:
                await self._in_loop(jobs)
            case Mode.THREADED:
                await self._in(in_thread, [(self.program.handler.function, job) for job in jobs])
            case Mode.PROCESS:
                await self._in(in_process, [(number,) for number in range(self.jobs)])

    async def _one_by_one(self, jobs: list[Job]) -> None:
        function = self.program.handler.function
        for job in jobs:
            if inspect.iscoroutinefunction(function):
                await function(job)
            else:
                await asyncio.to_thread(function, job)  # so that Ctrl-C is heard

    async def _in_loop(self, jobs: list[Job]) -> None:
        function, semaphore = self.program.handler.function, asyncio.Semaphore(self.width)

        async def one(job: Job) -> None:
            async with semaphore:
                if inspect.iscoroutinefunction(function):
                    await function(job)
                else:
                    function(job)

        await asyncio.gather(*[one(job) for job in jobs])

    async def _in(self, call: Callable[..., None], arguments: list[tuple[Any, ...]]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[loop.run_in_executor(self.executor, call, *each) for each in arguments])


@contextlib.asynccontextmanager
async def bench(mode: Mode, origin: Origin, *, jobs: int, width: int, cores: int) -> AsyncIterator[Bench]:
    """Make ready what a mode needs."""
    program = origin.load()
    with contextlib.ExitStack() as stack:
        executor: Executor | None = None
        if mode is Mode.THREADED:
            executor = stack.enter_context(ThreadPoolExecutor(width))
        elif mode is Mode.PROCESS:
            # Spawned, as the cpu lane's are: a fork would copy this process with its threads.
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_prepare, initargs=(origin,))
            executor = stack.enter_context(pool)
        async with program.lifespan() as yielded:
            yield Bench(mode=mode, program=program, context=yielded, jobs=jobs, width=width, executor=executor)


def in_thread(function: Callable[[Job], Any], job: Job) -> None:
    """Run one job in this thread; a coroutine in an event loop of its own."""
    if inspect.iscoroutinefunction(function):
        asyncio.run(function(job))
    else:
        function(job)


def in_process(number: int) -> None:
    """Run one job in this process, which `_prepare` has made ready."""
    program = _PREPARED[0]
    in_thread(program.handler.function, program.job(number))


_PREPARED: Final[list[Program]] = []
"""Of a process of the mode `process`: what it runs."""


def _prepare(origin: Origin) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    _PREPARED.append(origin.load())
