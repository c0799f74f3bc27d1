"""Ask the worker's processes in this container: `python -m workerpool.introspect dump`, or `profile --seconds 10`.

Prints one JSON object a line, one for each process. Exits with 1 when there is none, or none answers.
"""

import argparse
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from workerpool.introspect.door import PREFIX, peer

_UNIX: Final = Path("/proc/net/unix")
_MARGIN_SECONDS: Final = 15.0


def main(arguments: list[str] | None = None) -> int:
    """Ask, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workerpool.introspect", description=__doc__)
    wants = parser.add_subparsers(dest="want", required=True)
    wants.add_parser("dump", help="jobs in flight, and the stacks of all threads and tasks")
    profile = wants.add_parser("profile", help="where time goes, sampled")
    profile.add_argument("--seconds", type=float, default=10.0)
    profile.add_argument("--per-second", type=float, default=100.0)
    profile.add_argument("--mode", choices=["cpu", "wall"], default="cpu")
    question = vars(parser.parse_args(arguments))
    doors = _doors()
    with ThreadPoolExecutor(max(1, len(doors))) as together:
        answers = [one for one in together.map(lambda door: _ask(door, question), doors) if one is not None]
    for answer in answers:
        sys.stdout.write(json.dumps(answer) + "\n")
    if not answers:
        sys.stderr.write("no worker of this SDK answers in this container\n")
        return 1
    return 0


def _doors() -> list[str]:
    """All names of such sockets that this container can see, also of others that share its network."""
    try:
        lines = _UNIX.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    names = {words[-1] for line in lines if (words := line.split())}
    return sorted(name[1:] for name in names if name.startswith("@" + PREFIX))


def _ask(door: str, question: dict[str, Any]) -> dict[str, Any] | None:
    """The answer of one process; None when it is none of ours, or has gone."""
    patience = question.get("seconds", 0.0) + _MARGIN_SECONDS
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience)
            connection.connect(f"\0{door}")
            if peer(connection).pid == 0:
                return None
            connection.sendall(json.dumps(question).encode() + b"\n")
            parts = bytearray()
            while part := connection.recv(1 << 20):
                parts += part
            answer: dict[str, Any] = json.loads(parts)
    except (OSError, ValueError):
        return None
    return answer


if __name__ == "__main__":
    sys.exit(main())
