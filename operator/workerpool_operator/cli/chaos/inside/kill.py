"""Ends the first process of this container as SIGKILL does, from within.

The kernel lets nobody inside of a PID namespace send SIGKILL to its first process. It sends that one itself to a
process that has used more CPU time than its limit (RLIMIT_CPU, setrlimit(2)), and any process of the same user may set
that limit (prlimit(2)). The limit is looked at while the process runs: so it is given something to do, by connections
to the ports that it listens on. With it ends everything in the container, this program too.
"""

import contextlib
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

SECONDS = 30.0
REDIS = 6379
SHIMS = ("tini", "dumb-init", "docker-init", "catatonit", "sh", "bash", "dash", "ash")
"""First processes that only wait for the one that they started, and end with it."""


def main(ports: list[str]) -> int:
    """See the module's text. It returns only where that failed."""
    first = Path("/proc/1/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    if Path(first).name in SHIMS:
        os.kill(-1, signal.SIGKILL)  # all but that one and ourselves
        time.sleep(SECONDS)
        return 1
    resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for port in ports:
            knock(int(port))
    return 1


def knock(port: int) -> None:
    """Have whoever listens there do something."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.sendall(b"PING\r\n" * 200 if port == REDIS else b"GET /metrics HTTP/1.0\r\n\r\n")
        connection.recv(4096)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
