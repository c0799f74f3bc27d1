"""The process that runs the handler under measurement: one line of JSON for each run.

What the handler prints goes to stderr; the lines go to a pipe of their own.
"""

import asyncio
import contextlib
import inspect
import json
import os
import pickle
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from workerpool import ConfigurationError
from workerpool.runtime.lanes import Bound, Given, Kind
from workerpool.runtime.lanes.address import address_of
from workerpool_operator.cli.profile.meter import Meter, difference
from workerpool_operator.cli.programs import Program, load

_PICKLES: Final = 20


async def measure(program: Program, meter: Meter, *, runs: int, warmup: int, tell: Callable[[Any], None]) -> None:
    """Run the handler one job after the other, and tell what each took."""
    async with _ready(program) as (run, context):
        tell({"pickling": _pickling(program), "refused": _refused(program), "async": _is_async(program)})
        for number in range(-warmup, runs):
            job = program.given(number, context=context)
            in_loop = program.handler.kind is Kind.IO
            await asyncio.sleep(0)  # what was begun before is not this run's
            meter.loop.longest = 0.0
            before, error = meter.read(), ""
            try:
                async with asyncio.timeout(program.handler.timeout):
                    await run(job)
            except Exception as raised:  # noqa: BLE001  it is the handler's
                error = f"{type(raised).__name__}: {raised}"
            sample = difference(before, meter.read())
            await asyncio.sleep(0)  # the callback that the handler ended in has ended, too
            sample |= {"held": meter.loop.longest if in_loop else None, "error": error}
            if number >= 0:
                tell({"sample": sample})


@contextlib.asynccontextmanager
async def _ready(program: Program) -> AsyncIterator[tuple[Bound, Any]]:
    """How its lane runs it, and what the lifespan yields; the cpu lane gives its jobs none."""
    function, kind = program.handler.function, program.handler.kind
    if kind is Kind.IO:
        async with program.lifespan() as context:
            yield (function if _is_async(program) else _plain(function)), context
        return

    def call(job: Given) -> None:
        if _is_async(program):
            asyncio.run(function(job))
        else:
            function(job)

    with ThreadPoolExecutor(1) as thread:

        async def run(job: Given) -> None:
            await asyncio.get_running_loop().run_in_executor(thread, call, job)

        if kind is Kind.CPU:
            yield run, None
            return
        async with program.lifespan() as context:
            yield run, context


def _plain(function: Callable[[Any], Any]) -> Bound:
    async def run(job: Given) -> None:
        await asyncio.sleep(0)
        function(job)

    return run


def _is_async(program: Program) -> bool:
    return inspect.iscoroutinefunction(program.handler.function)


def _pickling(program: Program) -> dict[str, float]:
    """What it costs to hand a job over to another process: seconds of CPU time, both ways, and bytes."""
    text, began = b"", time.process_time()
    for _ in range(_PICKLES):
        text = pickle.dumps(program.payload)
        pickle.loads(text)  # noqa: S301  our own
    return {"seconds": (time.process_time() - began) / _PICKLES, "bytes": len(text)}


def _refused(program: Program) -> str:
    """Why the cpu lane would not take it; empty: it would."""
    try:
        address_of(program.handler.function)
    except ConfigurationError as error:
        return str(error)
    return ""


def main() -> None:
    """Arguments: the number of the pipe, and the order as JSON."""
    pipe, order = os.fdopen(int(sys.argv[1]), "w", buffering=1), json.loads(sys.argv[2])
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(what: Any) -> None:
        pipe.write(json.dumps(what) + "\n")

    meter = Meter()
    try:
        program = load(order["program"], job_type=order["type"], payload=order["payload"])
        asyncio.run(measure(program, meter, runs=order["runs"], warmup=order["warmup"], tell=tell))
    except ConfigurationError as error:
        tell({"refused_program": str(error)})
    except Exception as error:  # noqa: BLE001  its lifespan's
        tell({"failed": f"{type(error).__name__}: {error}"})
    sys.stdout.flush()
    pipe.flush()
    os._exit(0)  # threads that the handler left do not keep it


if __name__ == "__main__":
    main()
