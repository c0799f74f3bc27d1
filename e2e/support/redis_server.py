"""A redis-server of our own on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import redis

from e2e.cluster.ports import free_port


class ServerDoesNotStart(Exception):  # noqa: N818  reads as what happened
    """The message says why, with the end of its log."""


class RedisServer:
    """A redis-server process on a free port of 127.0.0.1, with its files in `folder`.

    Every write is in the append-only file before it is answered, so `kill` loses nothing that a client was told.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Mapping[str, str] | None = None,
        tls: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._env = {**os.environ, **(env or {})}
        self._options = dict(options or {})
        self._tls = dict(tls or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start (again, on the same port and files) and wait until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            raise ServerDoesNotStart("redis-server is not installed: apt-get install redis-server")
        options = {"appendonly": "yes", "appendfsync": "no", "save": "", "bind": "127.0.0.1", "dir": str(self._folder)}
        options |= {"port": "0", "tls-port": str(self.port)} if self._tls else {"port": str(self.port)}
        options |= {f"tls-{name}": str(path) for name, path in self._tls.items()}
        options |= self._options
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self._folder / "redis.log").open("ab") as log:
            # Ctrl-C is not for it: who started it may still ask it what became of the jobs.
            self._process = subprocess.Popen(
                [program, *arguments], stdout=log, stderr=log, env=self._env, process_group=0
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = (self._folder / "redis.log").read_text(errors="replace")[-2000:]
                raise ServerDoesNotStart(f"redis-server does not start: {said}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                if self._tls:
                    return True
                probe.sendall(b"PING\r\n")
                # An error answer (no password given) is an answer; "loading" is not.
                answer = probe.recv(64)
                return bool(answer) and b"LOADING" not in answer
        except OSError:
            return False

    def kill(self) -> None:
        """End it by SIGKILL: connections reset, nothing said goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Accept connections and answer nothing, as a hung server does, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=20)
            self._process = None

    def client(self, **options: Any) -> Any:
        """A plain client, to look behind the SDK's back."""
        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)
