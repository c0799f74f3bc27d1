"""One profile from its first run to its last: starts the process that measures, and listens to it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool import ConfigurationError
from workerpool_operator.cli.profile.classify import Sample

_LONGEST_LINE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be profiled."""

    program: str
    type: str
    payload: Any
    runs: int = 10
    warmup: int = 1
    """Runs before them that do not count: connections are made, modules loaded."""


@dataclass(slots=True, kw_only=True)
class Measured:
    """What the process told."""

    order: Order
    samples: list[Sample] = field(default_factory=list)
    is_async: bool = False
    pickle_seconds: float = 0.0
    """CPU time to hand the payload over to another process."""
    pickle_bytes: int = 0
    refused: str = ""
    """Why the cpu lane would not take the handler."""
    stopped: bool = False
    """By the user."""
    ended: str = ""
    """How the process ended, if not after all runs."""

    @property
    def good(self) -> list[Sample]:
        """Runs that did not fail."""
        return [each for each in self.samples if not each.error]


async def run(order: Order, *, stop: asyncio.Event, on_run: Callable[[int], None] = lambda _: None) -> Measured:
    """Profile; `stop` ends it early, with the runs that were made.

    Raises:
        ConfigurationError: there is no such program or handler.
    """
    measured = Measured(order=order)
    read, write = os.pipe()
    process = await _start(order, write)
    os.close(write)
    listening = asyncio.create_task(_listen(read, measured, on_run))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([listening, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            measured.stopped = True
    finally:
        stopping.cancel()
        if not listening.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what the handler has started
        status = await process.wait()
        # Processes that the handler left behind may hold the pipe: nobody waits for them.
        listening.cancel()
        await asyncio.gather(listening, stopping, return_exceptions=True)
    if listening.done() and not listening.cancelled():
        listening.result()
    if status and not measured.stopped:
        measured.ended = (
            f"its process ended with status {status}" if status > 0 else f"signal {-status} ended its process"
        )
    return measured


async def _start(order: Order, pipe: int) -> asyncio.subprocess.Process:
    told = {
        "program": order.program,
        "type": order.type,
        "payload": order.payload,
        "runs": order.runs,
        "warmup": order.warmup,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workerpool_operator.cli.profile.child",
        str(pipe),
        json.dumps(told),
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=(pipe,),
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
    )


async def _listen(pipe: int, measured: Measured, on_run: Callable[[int], None]) -> None:
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb"))
    try:
        async for line in reader:
            _take(json.loads(line), measured)
            on_run(len(measured.samples))
    finally:
        transport.close()


def _take(told: dict[str, Any], measured: Measured) -> None:
    if "refused_program" in told:
        raise ConfigurationError(told["refused_program"])
    if "sample" in told:
        measured.samples.append(Sample(**told["sample"]))
    elif "failed" in told:
        measured.ended = told["failed"]
    else:
        measured.is_async, measured.refused = told["async"], told["refused"]
        measured.pickle_seconds, measured.pickle_bytes = told["pickling"]["seconds"], told["pickling"]["bytes"]
