"""A library's worker as a tree of processes: what it has used, what it holds, and its end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from bench.peers.libraries import APPS, Library


class WorkerTree:
    """One worker, with the processes that it starts."""

    def __init__(self, library: Library, env: Mapping[str, str], *, log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = psutil.Popen(
                library.worker(),
                cwd=APPS,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # Ctrl-C is for the benchmark, which ends its workers itself
            )

    def pids(self) -> set[int]:
        """All of its processes."""
        return {process.pid for process in self._tree()}

    def cpu_seconds(self) -> float:
        """What its living processes have used, to 0.01 s each."""
        return sum(sum(process.cpu_times()[:2]) for process in self._tree())

    def rss_bytes(self) -> int:
        """What its processes hold; pages that they share are counted for each."""
        return sum(process.memory_info().rss for process in self._tree())

    def check(self) -> None:
        """Raise RuntimeError when it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the worker ended with status {self._process.returncode}:\n{self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """SIGKILL to all of them; when this returns none of them does anything."""
        with suppress(psutil.NoSuchProcess):
            tree = self._tree()
            for process in tree:  # the parent first: it would start its child again
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(tree, timeout=20)
        self._process.wait(timeout=20)

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]
