"""One sweep: every strategy at every limit, some times over."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from workerpool import ConfigurationError, Job
from workerpool.runtime.lanes import Kind
from workerpool_operator.cli.programs import Program
from workerpool_operator.cli.sweep.knee import Level, best
from workerpool_operator.cli.sweep.strategies import Call, Strategy, measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was measured, the best of all repeats."""

    levels: tuple[Level, ...]
    stopped: bool
    """By the user: levels that were not reached are missing."""

    def of(self, strategy: Strategy) -> list[Level]:
        """Those of one strategy."""
        return [each for each in self.levels if each.strategy == strategy.value]


async def sweep(
    call: Call,
    *,
    limits: Sequence[int],
    repeats: int,
    stop: asyncio.Event,
    on_level: Callable[[int, int, str], None] = lambda _done, _all, _what: None,
) -> Swept:
    """Measure; `stop` ends it early, with the levels that are complete.

    Repeats are the outer loop: what disturbs the machine for a while does not fall on one limit alone.

    Raises:
        JobsFailedError: all jobs of a level failed.
    """
    plan = [(strategy, limit) for _ in range(repeats) for limit in limits for strategy in Strategy]
    found: dict[tuple[Strategy, int], list[Level]] = {}
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.gather(*[call() for _ in range(limits[0])], return_exceptions=True)  # connections, caches
        for number, (strategy, limit) in enumerate(plan):
            on_level(number, len(plan), f"{strategy} at {limit}")
            measuring = asyncio.create_task(measure(strategy, limit=limit, call=call))
            await asyncio.wait([measuring, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not measuring.done():
                measuring.cancel()
                await asyncio.gather(measuring, return_exceptions=True)
                break
            found.setdefault((strategy, limit), []).append(measuring.result())
    finally:
        stopping.cancel()
    levels = [best(found[key]) for key in sorted(found, key=lambda key: (list(Strategy).index(key[0]), key[1]))]
    return Swept(levels=tuple(levels), stopped=stop.is_set())


@contextlib.asynccontextmanager
async def calling(program: Program, *, most: int) -> AsyncIterator[Call]:
    """One job of a program's handler, in this process, at most so many at a time.

    Raises:
        ConfigurationError: it is one of the cpu lane.
    """
    if program.handler.kind is Kind.CPU:
        raise ConfigurationError(
            f"{program.type!r} is of the cpu lane: its knee is the number of cores, and `wpool bench` shows it"
        )
    function, number = program.handler.function, 0
    async with program.lifespan() as context:
        with ThreadPoolExecutor(most) as threads:

            def in_thread(job: Job) -> None:
                if inspect.iscoroutinefunction(function):
                    asyncio.run(function(job))
                else:
                    function(job)

            async def call() -> None:
                nonlocal number
                number += 1
                job = program.job(number, context=context)
                async with asyncio.timeout(program.handler.timeout):
                    if program.handler.kind is Kind.THREAD:
                        await asyncio.get_running_loop().run_in_executor(threads, in_thread, job)
                    elif inspect.iscoroutinefunction(function):
                        await function(job)
                    else:
                        function(job)

            yield call
