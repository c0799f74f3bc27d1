"""A bulkhead: how many jobs of this worker call one endpoint at a time.

So a slow endpoint takes that many of the worker's slots, and not all of them, while jobs that call something else go
on. Jobs are let in in the order in which they came, from the event loop and from threads alike. In the cpu lane each
process has a limit of its own, for it runs one job at a time.
"""

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import Future
from types import TracebackType
from typing import Any, NamedTuple, Self

from workerpool.errors import ConfigurationError, EndpointBusy
from workerpool.telemetry import logs
from workerpool.telemetry.metrics import LockMetrics


class _Holder(NamedTuple):
    where: object
    """Its task or thread."""
    job_id: str
    since: float
    """Monotonic."""


def _here() -> object:
    if asyncio._get_running_loop() is not None:  # noqa: SLF001  the public one raises when there is none
        return asyncio.current_task()
    return threading.get_ident()


class Endpoint:
    """`async with` it in an `async def`, `with` it in a thread, around the call. Made by `Worker.endpoint`.

    Attributes:
        figures: What is counted; the worker's metrics show it.
    """

    def __init__(self, name: str, *, at_most: int, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self._lock = threading.Lock()
        self._at_most = self._free = at_most
        self._holders: list[_Holder] = []
        self._waiting: deque[Future[None]] = deque()
        self.figures = LockMetrics()

    def standing(self) -> dict[str, Any]:
        """Who holds it now, and for how many seconds; how many wait. From any thread."""
        with self._lock:
            waiting = sum(not turn.cancelled() for turn in self._waiting)
            holders = tuple(self._holders)
        now = time.monotonic()
        held = [{"job_id": one.job_id, "seconds": round(now - one.since, 3)} for one in holders]
        return {"name": self._name, "at_most": self._at_most, "held_by": held, "waiting": waiting}

    async def __aenter__(self) -> Self:
        turn = self._ask()
        if turn is None:
            self._hold()
            return self
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.wrap_future(turn)
        except BaseException as error:
            if not turn.cancel():  # it was our turn just now
                self._pass_on()
            if isinstance(error, TimeoutError):
                raise self._busy() from error
            raise
        finally:
            self._waited(clock() - began)
        self._hold()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave()

    def __enter__(self) -> Self:
        if asyncio._get_running_loop() is not None:  # noqa: SLF001  the public one raises when there is none
            raise ConfigurationError(f"in an `async def` it is `async with` for the endpoint {self._name!r}")
        turn = self._ask()
        if turn is None:
            self._hold()
            return self
        began = time.monotonic()
        try:
            turn.result(self._timeout)
        except TimeoutError as error:
            if not turn.cancel():
                self._pass_on()
            raise self._busy() from error
        finally:
            self._waited(time.monotonic() - began)
        self._hold()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave()

    def _ask(self) -> "Future[None] | None":
        """None: go on. Otherwise wait for it."""
        with self._lock:
            if self._free:
                self._free -= 1
                self.figures.wait.observe(0.0)
                return None
            self.figures.waited += 1
            turn: Future[None] = Future()
            self._waiting.append(turn)
            return turn

    def _hold(self) -> None:
        with self._lock:
            self._holders.append(_Holder(_here(), logs.bound().get("job_id", ""), time.monotonic()))

    def _leave(self) -> None:
        here = _here()
        with self._lock:
            ours = next((one for one in self._holders if one.where == here), None)
            if ours is not None:  # else it was entered elsewhere, which is the program's own affair
                self._holders.remove(ours)
        self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():  # else it was given up
                    turn.set_result(None)
                    return
            self._free += 1

    def _waited(self, seconds: float) -> None:
        with self._lock:
            self.figures.wait.observe(seconds)

    def _busy(self) -> EndpointBusy:
        return EndpointBusy(f"no turn for the endpoint {self._name!r} within {self._timeout:g} s")
