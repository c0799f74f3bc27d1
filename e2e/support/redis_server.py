"""A redis-server of our own on this machine."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis

from e2e.cluster.ports import free_port
from e2e.support.own_server import OwnServer, ServerDoesNotStart


class RedisServer(OwnServer):
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
        super().__init__(folder)
        self._env = {**os.environ, **(env or {})}
        self._options = dict(options or {})
        self._tls = dict(tls or {})
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://127.0.0.1:{self.port}/0"

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
        self._launch([program, *arguments], env=self._env)
        self._wait("redis-server", seconds=20)

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

    def client(self, **options: Any) -> Any:
        """A plain client, to look behind the SDK's back."""
        return redis.Redis(host="127.0.0.1", port=self.port, **options)
