"""Ports for servers that are about to be started: free now, and left alone until they are bound.

Not chosen by the kernel: what it gives lies in the range from which outgoing connections get theirs, and on a busy
machine one of those takes the port before the server does.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

_FIRST: Final = 10_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_RANGE: Final = "32768 60999"
_WRITTEN: Final = range(18_000, 18_100)
"""Those that commands in the docs name, which tests type as they stand."""
LOOPBACK: Final = "127.0.0.1"

_given: Final[set[int]] = set()
"""Those that this process was given: not yet bound, perhaps, when the next ones are asked for."""


def free_port(address: str = LOOPBACK) -> int:
    """Give one port of this address."""
    return free_ports(1, address)[0]


def free_ports(count: int, *addresses: str) -> list[int]:
    """Give ports that are free on all of these addresses (none: loopback). None is given twice."""
    outgoing = _RANGE.read_text() if _RANGE.exists() else _USUAL_RANGE
    candidates = range(_FIRST, max(int(outgoing.split()[0]), _FIRST + 10 * count))
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.choice(candidates)  # noqa: S311  no secret
        if (
            port not in _given
            and port not in _WRITTEN
            and all(_is_free(address, port) for address in addresses or (LOOPBACK,))
        ):
            chosen.append(port)
            _given.add(port)
    return chosen


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
