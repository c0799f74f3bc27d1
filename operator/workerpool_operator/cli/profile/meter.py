"""Reads the clocks around one run of a handler, in the process that runs it."""

import asyncio
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")
_SAMPLE_SECONDS: Final = 0.02
_USER, _SYSTEM, _IDLE, _IOWAIT, _STEAL = 0, 2, 3, 4, 7
"""Columns of the first line of /proc/stat (proc_stat(5)), in ticks since boot."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All clocks at one moment, in seconds, and bytes."""

    wall: float
    cpu: float
    starved: float | None
    machine: tuple[int, ...]
    sent: int
    received: int


@dataclass(slots=True)
class Traffic:
    """Bytes through the sockets of Python in this process; those that libraries in C open are not seen."""

    sent: int = 0
    received: int = 0

    def watch(self) -> None:
        """Count from now on, for the rest of this process."""
        for owner, reads, writes in (
            (
                socket.socket,
                ("recv", "recv_into", "recvfrom", "recvfrom_into"),
                ("send", "sendall", "sendto", "sendmsg"),
            ),
            (ssl.SSLSocket, ("read",), ("write",)),
        ):
            for name in reads:
                setattr(owner, name, self._counted(getattr(owner, name), self._came))
            for name in writes:
                setattr(owner, name, self._counted(getattr(owner, name), self._went))

    def _came(self, result: Any, _arguments: tuple[Any, ...]) -> None:
        self.received += _size(result)

    def _went(self, result: Any, arguments: tuple[Any, ...]) -> None:
        # sendall returns nothing and has sent all.
        self.sent += _size(result if result is not None else arguments[0])

    @staticmethod
    def _counted(method: Callable[..., Any], count: Callable[[Any, tuple[Any, ...]], None]) -> Callable[..., Any]:
        def counted(self: Any, *arguments: Any, **named: Any) -> Any:
            result = method(self, *arguments, **named)
            count(result, arguments)
            return result

        return counted


def _size(result: Any) -> int:
    if isinstance(result, tuple):  # recvfrom: what, and from whom
        result = result[0]
    return result if isinstance(result, int) else memoryview(result).nbytes


@dataclass(slots=True)
class Starvation:
    """How long threads could have run and had no core: those of this process, and of the processes that it starts.

    A thread takes its figure with it when it ends, so those of others are read now and then, and the last word counts.
    """

    _last: dict[str, float] = field(default_factory=dict)
    _own: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def known(self) -> bool:
        """Whether this machine tells: it needs Linux with CONFIG_SCHED_INFO, which distributions have."""
        return _starved(_PROC / "self/schedstat") is not None

    def begin(self) -> None:
        """Read now and then from now on, for the rest of this process."""
        threading.Thread(target=self._go, name="starvation", daemon=True).start()

    def total(self) -> float:
        """Of all that were ever seen, in seconds."""
        with self._lock:
            for path in _threads(_PROC / "self"):
                self._read(path)
            return sum(self._last.values())

    def _go(self) -> None:
        self._own.add(threading.get_native_id())
        while True:
            time.sleep(_SAMPLE_SECONDS)
            with self._lock:
                for path in (*_threads(_PROC / "self"), *_descendants(os.getpid())):
                    self._read(path)

    def _read(self, path: Path) -> None:
        if int(path.parent.name) in self._own:
            return
        starved = _starved(path)
        if starved is not None:
            self._last[str(path)] = starved


class Loop:
    """The longest time in which one callback kept the event loop from turning, without what it was starved."""

    def __init__(self) -> None:
        self.longest = 0.0

    def watch(self) -> None:
        """Measure every callback of every loop from now on, for the rest of this process."""
        handle = asyncio.Handle
        run: Callable[[Any], None] = handle._run  # noqa: SLF001  there is no public way

        def timed(this: Any) -> None:
            starved, began = _own_starved(), time.perf_counter()
            try:
                run(this)
            finally:
                took = time.perf_counter() - began
                if took > self.longest:
                    self.longest = max(self.longest, took - (_own_starved() - starved))

        setattr(handle, "_run", timed)  # noqa: B010  mypy: it is a method


class Meter:
    """All clocks of this process. Make one before the program is loaded."""

    def __init__(self) -> None:
        self.traffic, self.starvation, self.loop = Traffic(), Starvation(), Loop()
        self.traffic.watch()
        self.loop.watch()
        self._known = self.starvation.known
        if self._known:
            self.starvation.begin()

    def read(self) -> Reading:
        """Now."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Reading(
            wall=time.perf_counter(),
            cpu=time.process_time() + children.ru_utime + children.ru_stime,
            starved=self.starvation.total() if self._known else None,
            machine=_machine(),
            sent=self.traffic.sent,
            received=self.traffic.received,
        )


def difference(before: Reading, after: Reading) -> dict[str, Any]:
    """What a run took, as `classify.Sample` has it, without `held`."""
    cpu = after.cpu - before.cpu
    ticks = [late - early for early, late in zip(before.machine, after.machine, strict=True)]
    starved = None
    if after.starved is not None and before.starved is not None:
        starved = max(0.0, after.starved - before.starved) + _stolen(ticks, cpu=cpu)
    return {
        "wall": after.wall - before.wall,
        "cpu": cpu,
        "starved": starved,
        "iowait": ticks[_IOWAIT] / sum(ticks) if ticks and sum(ticks) else None,
        "sent": after.sent - before.sent,
        "received": after.received - before.received,
    }


def _stolen(ticks: list[int], *, cpu: float) -> float:
    """What the hypervisor took from this process: of all that it took, the part that the process did of all work."""
    if len(ticks) <= _STEAL or not ticks[_STEAL]:
        return 0.0
    busy = (sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT] - ticks[_STEAL]) / os.sysconf("SC_CLK_TCK")
    return min(1.0, cpu / busy) * ticks[_STEAL] / os.sysconf("SC_CLK_TCK") if busy else 0.0


def _machine() -> tuple[int, ...]:
    try:
        first = (_PROC / "stat").read_text("ascii").partition("\n")[0]
    except OSError:
        return ()
    return tuple(int(each) for each in first.split()[1:9])


def _own_starved() -> float:
    return _starved(_PROC / "thread-self/schedstat") or 0.0


def _starved(path: Path) -> float | None:
    try:
        with path.open(encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # it has ended, or this is not Linux
        return None


def _threads(process: Path) -> Iterator[Path]:
    try:
        yield from (each / "schedstat" for each in (process / "task").iterdir())
    except OSError:
        return


def _descendants(pid: int) -> Iterator[Path]:
    try:
        below = " ".join(each.read_text("ascii") for each in (_PROC / str(pid) / "task").glob("*/children")).split()
    except OSError:  # it has ended
        return
    for each in below:
        yield from _threads(_PROC / each)
        yield from _descendants(int(each))
