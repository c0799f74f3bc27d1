"""A server of our own on this machine: started, asked whether it answers, hung, and ended by its process id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

_LOG: Final = "server.log"
_END_SECONDS: Final = 30.0


class ServerDoesNotStart(Exception):  # noqa: N818  reads as what happened
    """The message says why, with the end of its log."""


class OwnServer(ABC):
    """Processes with their files in `folder`; the last one that was launched is the server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._processes, "the server is not running"
        return self._processes[-1].pid

    @abstractmethod
    def start(self) -> None:
        """Start (again, on the same port and files) and wait until it answers."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it does."""

    def kill(self) -> None:
        """End it by SIGKILL: connections reset, nothing said goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Accept connections and answer nothing, as a hung server does, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)
        # The kernel says so only when the last of its threads has stopped: until then one may still answer.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Undo `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def _launch(self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _LOG).open("ab") as log:
            # Ctrl-C is not for it: who started it may still ask it what became of the jobs.
            process = subprocess.Popen(
                command,
                env=env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._processes.append(process)

    def _wait(self, program: str, *, seconds: float) -> None:
        """Until it answers."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            if not self._processes or self._processes[-1].poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = (self._folder / _LOG).read_text(errors="replace")[-2000:]
                raise ServerDoesNotStart(f"{program} does not start: {said}")
            time.sleep(0.02)

    def _end(self, how: signal.Signals) -> None:
        while self._processes:
            process = self._processes.pop()
            process.send_signal(how)
            process.wait(timeout=_END_SECONDS)
            how = signal.SIGKILL  # what only helps the server keeps nothing

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
