"""What a process of the cpu lane runs: one job at a time, until the worker is gone.

It loads the program for its handlers only: `Worker.run` does nothing here, so that a program needs no
`if __name__ == "__main__"`.

Beside it stands a sentinel, a fork of it that does nothing but wait until the worker's end of the socket is closed, and
then kills the whole process group: this process, which may sit in C code with the interpreter's lock, and what its
handlers have started. So nothing of the lane outlives a worker that was killed.
"""

import asyncio
import contextlib
import contextvars
import inspect
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from workerpool.runtime.lanes.address import Address
from workerpool.runtime.lanes.frames import HEADER, PLAIN_FIELDS, decode, encode

if TYPE_CHECKING:
    from workerpool.introspect.subject import Subject

_TURN_SECONDS: Final = 0.0005
_LONGEST_TRACEBACK: Final = 8_000
_TRACES: Final = "workerpool.telemetry.tracing.handover"


class JobCancelled(BaseException):
    """Raised in a handler whose time is over: it may clean up, briefly."""


class _Channel:
    """The socket to the worker."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.given_up = False
        """Whether nobody listens any more: the job was cancelled."""

    def receive(self) -> tuple[Any, ...] | None:
        """The next message; None when the worker wants no more."""
        header = self._read(HEADER.size)
        return decode(self._read(*HEADER.unpack(header))) if header else None

    def send(self, *message: Any) -> None:
        self._connection.sendall(encode(message))

    def ask(self, *question: Any) -> Any:
        """Have the worker do something for the running job.

        Raises:
            JobCancelled: it does no more for it.
        """
        if self.given_up:
            raise JobCancelled
        self.send("call", *question)
        answer = self.receive()
        if answer is None:
            raise JobCancelled
        done, name, value = answer
        if not done:
            from workerpool import errors  # noqa: PLC0415  after the sentinel

            raise getattr(errors, name, RuntimeError)(value)
        return value

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._connection.recv(min(count - len(parts), 1 << 20))
            if not part:
                return b""
            parts += part
        return bytes(parts)


class _Hold:
    """The job's, in here: asks the worker, and waits for its answer."""

    def __init__(self, channel: _Channel, place: int = 0) -> None:
        """`place`: in its batch."""
        self._channel = channel
        self._place = place

    async def checkpoint(self, state: bytes) -> None:
        self._channel.ask("checkpoint", self._place, state)

    def checkpoint_sync(self, state: bytes) -> None:
        self._channel.ask("checkpoint", self._place, state)

    def skip(self) -> None:
        self._channel.ask("skip", self._place)

    def fail(self, error: Exception | str) -> None:
        self._channel.ask("fail", self._place, *_told(error))

    def begins(self) -> None:
        pass  # the worker knows

    def told_to_stop(self) -> bool:
        return False  # the handler is interrupted instead


class _Child:
    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._running = False
        self._handlers: dict[Address, Any] = {}

    def serve(self) -> None:
        signal.signal(signal.SIGTERM, self._cancel)
        while (message := self._channel.receive()) is not None:
            self._channel.send("started")
            task = self._load if message[0] == "load" else self._run
            try:
                answer = contextvars.Context().run(self._try, task, message[1:])
            except JobCancelled:
                return
            if self._channel.given_up:
                return
            self._channel.send(*answer)

    def _cancel(self, _number: int, _frame: FrameType | None) -> None:
        if self._running:
            self._channel.given_up = True
            raise JobCancelled
        os._exit(0)

    def _try(self, task: Callable[..., None], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        self._running = True
        try:
            task(*arguments)
        except (Exception, SystemExit, asyncio.CancelledError, KeyboardInterrupt) as error:  # noqa: BLE001
            return ("failed", _used(), *_told(error))
        finally:
            self._running = False
        return ("done", _used())

    def _load(self, address: tuple[str, str, str]) -> None:
        from workerpool.telemetry import tracing  # noqa: PLC0415  after the sentinel

        self._handlers[Address(*address)] = Address(*address).load()
        if tracing.wanted():
            with contextlib.suppress(Exception):  # the worker has said so
                import_module(_TRACES)  # now: a job's own time begins after this

    def _run(
        self,
        address: tuple[str, str, str],
        plain: tuple[Any, ...] | list[tuple[Any, ...]],
        log_fields: dict[str, Any],
        trace: dict[str, str] | None,
    ) -> None:
        from workerpool._job import Job  # noqa: PLC0415  after the sentinel
        from workerpool.telemetry import logs  # noqa: PLC0415

        def job(values: tuple[Any, ...], place: int) -> Job:
            return Job(**dict(zip(PLAIN_FIELDS, values, strict=True)), _hold=_Hold(self._channel, place))

        given = job(plain, 0) if isinstance(plain, tuple) else [job(values, at) for at, values in enumerate(plain)]
        logs.bind(**log_fields)
        with self._traced(trace):
            _call(self._handlers[Address(*address)], given)

    def _traced(self, trace: dict[str, str] | None) -> AbstractContextManager[None]:
        if trace is None:
            return contextlib.nullcontext()
        try:
            module = import_module(_TRACES)
        except Exception:  # noqa: BLE001  the worker has said so; a job is done without it
            return contextlib.nullcontext()
        within: AbstractContextManager[None] = module.within(trace, lambda spans: self._channel.ask("spans", spans))
        return within


def _used() -> tuple[int, float]:
    """Resident bytes, and open files as a part of what may be open."""
    from workerpool.telemetry.process import open_files, resident_bytes  # noqa: PLC0415  after the sentinel

    used, allowed = open_files()
    return resident_bytes(), used / allowed


def _told(error: BaseException | str) -> tuple[str, str, str]:
    """Kind, text and traceback."""
    from workerpool.errors import RejectJob  # noqa: PLC0415  after the sentinel

    if isinstance(error, str):
        return "", error, ""
    name = "RejectJob" if isinstance(error, RejectJob) else type(error).__name__
    return name, _text(error), "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  the user's own class
        return f"(its text cannot be had: {broken!r})"


def _call(handler: Any, given: Any) -> None:
    process = os.getpid()
    try:
        if inspect.iscoroutinefunction(handler):
            asyncio.run(handler(given))
        else:
            handler(given)
    finally:
        if os.getpid() != process:  # the handler forked and came back here in the child, which has our socket
            os._exit(0)


def _watch_over(connection: socket.socket) -> None:
    """Fork the sentinel, before anything is loaded and while there is one thread."""
    if os.fork():
        return
    poll = select.poll()
    poll.register(connection, 0)  # hang-up is told in any case
    while not poll.poll():
        pass
    os.killpg(0, signal.SIGKILL)


def _not_here(*_arguments: Any, **_named: Any) -> None:
    """`Worker.run` in here."""


def _subject(log_fields: Mapping[str, str]) -> "Subject":
    from workerpool.introspect.subject import Subject  # noqa: PLC0415  when somebody asks

    return Subject({"role": "cpu lane", **log_fields})


def main(setup: dict[str, Any]) -> NoReturn:
    """Serve the socket with this number; the process leads a process group of its own."""
    connection = socket.socket(fileno=setup["socket"])
    _watch_over(connection)
    from workerpool import _worker  # noqa: PLC0415  after the sentinel
    from workerpool.introspect.door import open_door  # noqa: PLC0415
    from workerpool.telemetry import logs  # noqa: PLC0415

    setattr(_worker.Worker, "run", _not_here)  # noqa: B010  see the module's text
    logs.configure(**setup["log"])
    # A handler that computes and asks the system for something now and then gives the interpreter's lock away for a
    # moment each time, before the thread that waits for it has waited for its turn of 5 ms, and takes it back.
    sys.setswitchinterval(_TURN_SECONDS)
    with open_door(partial(_subject, setup["log"])):
        _Child(_Channel(connection)).serve()
    sys.stdout.flush()
    os._exit(0)
