"""One process of the cpu lane, as the worker sees it."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

from workerpool.errors import LeaseLost
from workerpool.runtime.lanes import HandlerFailed, HandlerRejected, ProcessDied
from workerpool.runtime.lanes.address import Address
from workerpool.runtime.lanes.frames import HEADER, decode, encode

_PROGRAM: Final = (
    "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup['path']; "
    "from workerpool.runtime.lanes.child import main; main(setup)"
)
HEED_SECONDS: Final = 1.0
"""How long a cancelled handler has to clean up before its process is killed."""

LOAD_SECONDS: Final = 120.0
"""How long the import of a handler may take in a process; a job's own timeout begins after it."""

Answer = Callable[..., Awaitable[Any]]
"""Does for the job what its handler asks for from over there."""


class ChildProcess:
    """Started at once; runs one job at a time.

    Attributes:
        jobs: How many it has run.
        resident_bytes: Its memory after the latest one.
        open_files: Its open files then, as a part of what it may open.
    """

    def __init__(self, *, log: Mapping[str, str]) -> None:
        """For the event loop's own thread. `log`: pool, version and worker, for the lines that it logs.

        Raises:
            OSError: there can be no more processes, threads or open files.
        """
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._started = False
        self._running = False
        self._loaded: set[Address] = set()
        self.jobs = self.resident_bytes = 0
        self.open_files = 0.0
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._ours, theirs = socket.socketpair()
        setup = {"socket": theirs.fileno(), "path": sys.path, "log": dict(log)}
        with contextlib.ExitStack() as failed:
            failed.callback(self._ours.close)
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  ourselves
                    [sys.executable, "-c", _PROGRAM, json.dumps(setup)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            failed.callback(self._process.wait)
            failed.callback(self.kill)
            self._have_reaped()
            failed.pop_all()

    def _have_reaped(self) -> None:
        try:
            threading.Thread(target=self._wait, name="workerpool-reaper", daemon=True).start()
        except RuntimeError as error:
            raise BlockingIOError(errno.EAGAIN, str(error)) from error

    @property
    def pid(self) -> int:
        """Also its process group's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be given a job."""
        return not self._exited.done()

    @property
    def took_it(self) -> bool:
        """Whether it began with the latest job."""
        return self._started

    @property
    def at_rest(self) -> bool:
        """Whether it lives, and has told how its latest job ended."""
        return self.alive and not self._running

    async def load(self, address: Address) -> None:
        """Have it import a handler, unless it has.

        Raises:
            HandlerFailed: the import failed, or took too long.
            ProcessDied: it ended in the middle, or before (`took_it`).
        """
        self._started = False
        if address in self._loaded:
            return
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self._do(("load", tuple(address)), _nothing_to_ask)
        except TimeoutError:
            self.kill()
            raise HandlerFailed(f"{address.module or address.file} was not imported in {LOAD_SECONDS:.0f} s") from None
        self._loaded.add(address)

    async def run(self, order: tuple[Any, ...], answer: Answer, *, jobs: int = 1) -> None:
        """Have it run one job, or a batch of so many.

        Raises:
            HandlerFailed: the handler raised.
            ProcessDied: it ended in the middle, or before (`took_it`).
        """
        self.jobs += jobs
        await self._do(order, answer)

    async def _do(self, order: tuple[Any, ...], answer: Answer) -> None:
        self._started, self._running = False, True
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(sock=self._ours)
            reader, writer = self._streams
            writer.write(encode(order))
            await writer.drain()
            while True:
                match decode(await reader.readexactly(*HEADER.unpack(await reader.readexactly(HEADER.size)))):
                    case ("started",):
                        self._started = True
                    case ("call", name, *arguments):
                        writer.write(encode(await _answered(answer, name, arguments)))
                    case ("done", used):
                        self._ran(used)
                        return
                    case ("failed", used, name, text, trace):
                        self._ran(used)
                        raise raised(name, text, trace)
        except (OSError, EOFError):
            self.kill()
            status = await asyncio.shield(self._exited)
            raise ProcessDied(_obituary(status)) from None

    def _ran(self, used: tuple[int, float]) -> None:
        self._running = False
        self.resident_bytes, self.open_files = used

    async def cancel(self) -> None:
        """End the job and the process: the handler may clean up, for a moment."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait([self._exited], timeout=HEED_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it, and whatever its handlers have started."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Return when it has ended."""
        await asyncio.wait([self._exited])
        if self._streams is not None:
            self._streams[1].close()
        self._ours.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _wait(self) -> None:
        """In a thread: its end, and that of all that is left of its group."""
        status = self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            # The first process of a container inherits them, and nobody else would reap them.
            while True:
                os.waitpid(-self._process.pid, 0)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ended, status)

    def _ended(self, status: int) -> None:
        self._exited.set_result(status)
        if self._streams is not None:
            # Not at once: what it said last may not have been read yet. After that its end comes by itself, unless a
            # fork of it that has left its process group holds the socket open.
            self._loop.call_later(HEED_SECONDS, self._streams[1].close)


async def _nothing_to_ask(name: str, *_arguments: Any) -> NoReturn:
    raise LookupError(name)


async def _answered(answer: Answer, name: str, arguments: list[Any]) -> tuple[Any, ...]:
    try:
        return (True, "", await answer(name, *arguments))
    except Exception as error:  # noqa: BLE001  told over there
        return (False, type(error).__name__, str(error))


def raised(name: str, text: str, trace: str) -> Exception:
    """What a handler raised over there."""
    match name:
        case "":  # only a text was given
            return HandlerFailed(text)
        case "RejectJob":
            return HandlerRejected(f"{name}: {text}", trace=trace)
        case "LeaseLost":
            return LeaseLost(text)
        case _:
            return HandlerFailed(f"{name}: {text}", trace=trace)


def _obituary(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status} under the handler"
    name = signal.Signals(-status).name
    cause = ", for example by the kernel because memory ran out" if -status == signal.SIGKILL else ""
    return f"its process was killed by {name}{cause}"
