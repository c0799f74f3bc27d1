"""Daemons that outlive the command which started them, ended by identity and never by name.

A pid alone is no identity: the kernel gives it out again. So each daemon leaves a record of its pid, its start
time in clock ticks and the machine's boot id; a process is ours only when all three still fit, and signals go
through a pidfd that was opened before the check, so even a pid recycled in between is never hit.

Rejected: ``subprocess.Popen`` (warns about, and may reap, children which are meant to stay) and pid files
without a start time.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from e2e.cluster.files import write_whole

_JOIN = 'for f in $JOIN_CGROUPS; do echo $$ > "$f" || exit 71; done; unset JOIN_CGROUPS; exec "$@"'
_DEAD = "ZX"
_STATE_FIELD, _START_FIELD = 0, 19  # in /proc/PID/stat, counted after the command's closing bracket


class DaemonDiedError(Exception):
    """A daemon ended while it was expected to come up; the message ends with its last log lines."""


def end_at_sigterm() -> None:
    """Let SIGTERM end this program as Ctrl-C does: with what it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One process, told apart from every other that ever had or will have its pid."""

    pid: int
    started: int
    """Clock ticks since boot, as in field 22 of ``/proc/PID/stat``."""
    boot: str
    argv: tuple[str, ...]

    def alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        return self.boot == boot_id() and start_ticks(self.pid) == self.started

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to this very process; tell whether it was there."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until the process has ended; tell whether it has."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return True
        try:
            # Asked even of a zombie: its other threads may still be ending.
            if _stat(self.pid)[1] == self.started:
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.poll(seconds * 1000)
            return not self.alive()
        finally:
            os.close(handle)
            _reap(self.pid)

    def end(self, *, grace: float) -> None:
        """Ask the process to end, and after ``grace`` seconds make it."""
        if grace > 0 and self.signal(signal.SIGTERM) and self.wait(grace):
            return
        if self.signal(signal.SIGKILL):
            self.wait(10)

    def write(self, path: Path) -> None:
        """Store the record in one step, so that no reader sees half of it."""
        write_whole(path, json.dumps(asdict(self)))

    @classmethod
    def of(cls, pid: int, *, argv: tuple[str, ...]) -> Record:
        """Describe a process that runs now; one that has ended already gets a record that is never alive."""
        return cls(pid=pid, started=start_ticks(pid) or 0, boot=boot_id(), argv=argv)

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Load a record; none where there is no file or no sense in it."""
        try:
            raw = json.loads(path.read_text())
            return cls(pid=raw["pid"], started=raw["started"], boot=raw["boot"], argv=tuple(raw["argv"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """One program of the cluster, with its record and its log in ``home``."""

    name: str
    argv: tuple[str, ...]
    home: Path
    grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL when it is stopped; 0 kills at once."""
    env: Mapping[str, str] = field(default_factory=dict)
    join: tuple[Path, ...] = ()
    """``cgroup.procs`` files that it joins before it starts, so that all of its children are found there."""

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.home / f"{self.name}.log"

    @property
    def _record(self) -> Path:
        return self.home / f"{self.name}.pid.json"

    def record(self) -> Record | None:
        """Give the running process, if it runs."""
        record = Record.read(self._record)
        if record is None or record.alive():
            return record
        _reap(record.pid)
        return None

    def ensure(self) -> bool:
        """Start it unless it runs as asked; one that runs with other arguments is started anew.

        Returns:
            Whether anything was started.
        """
        record = self.record()
        if record and record.argv == self.argv:
            return False
        if record:
            record.end(grace=self.grace)
        self._start()
        return True

    def stop(self, *, grace: float | None = None) -> None:
        """End it if it runs, and forget it."""
        if record := self.record():
            record.end(grace=self.grace if grace is None else grace)
        self._record.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise `DaemonDiedError` unless it runs."""
        self.pid()

    def pid(self) -> int:
        """Of the process that runs.

        Raises:
            DaemonDiedError: none does.
        """
        if record := self.record():
            return record.pid
        raise DaemonDiedError(f"{self.name} ended; the end of {self.log}:\n{tail(self.log)}")

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        argv, env = list(self.argv), {**os.environ, **self.env}
        if "TMPDIR" not in self.env:
            env.pop("TMPDIR", None)  # it outlives who starts it, whose folder for temporary files may not
        if self.join:
            argv = ["/bin/sh", "-c", _JOIN, "sh", *argv]
            env["JOIN_CGROUPS"] = " ".join(map(str, self.join))
        pid = os.posix_spawn(
            argv[0],
            argv,
            env,
            setsid=True,
            setsigmask=[],
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
        Record.of(pid, argv=self.argv).write(self._record)


def end_recorded(home: Path, *, grace: float = 0.0) -> None:
    """End every process that has a record in ``home``, whatever program it is."""
    for path in sorted(home.glob("*.pid.json")):
        if (record := Record.read(path)) is not None:
            record.end(grace=grace)
        path.unlink(missing_ok=True)


def kill_and_wait(pids: list[int], *, seconds: float = 10.0) -> None:
    """Kill these processes at once and wait until the kernel has let go of them all."""
    records = [Record.of(pid, argv=()) for pid in pids]
    for record in records:
        record.signal(signal.SIGKILL)
    deadline = time.monotonic() + seconds
    for record in records:
        record.wait(max(0.0, deadline - time.monotonic()))


def start_ticks(pid: int) -> int | None:
    """Give a live process's start time in ticks since boot; none for a dead one or a zombie."""
    state, started = _stat(pid)
    return None if state in _DEAD else started


def boot_id() -> str:
    """Give the id that the kernel drew when this machine was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def tail(log: Path, *, lines: int = 15) -> str:
    """Give a log's last lines, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _stat(pid: int) -> tuple[str, int]:
    """Give a process's state and start time; the state is X where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X", -1
    fields = stat.rpartition(")")[2].split()
    return fields[_STATE_FIELD], int(fields[_START_FIELD])


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
