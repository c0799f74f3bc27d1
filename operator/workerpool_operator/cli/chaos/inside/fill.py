"""Fills the file system of a folder with a file, and takes it away again after some seconds, whatever happens.

Arguments: the folder, the seconds, and how large the file system may be at most, in MiB: a folder on a node's own disk
is refused, since its being full would hit all pods of the node. `clear FOLDER` takes the file away now.
"""

import errno
import os
import sys
import time
from pathlib import Path

NAME = ".wpool-chaos"
CHUNK = 1 << 16


def main(arguments: list[str]) -> int:
    """See the module's text."""
    if arguments[0] == "clear":
        clear(arguments[1])
        return 0
    folder, seconds, most = arguments[0], float(arguments[1]), int(arguments[2])
    found = os.statvfs(folder)
    size = found.f_blocks * found.f_frsize >> 20
    if size > most:
        print(f"{folder} is on a file system of {size} MiB, which may be the node's own", file=sys.stderr)
        return 1
    written = fill(folder, create=True)
    if os.fork() == 0:
        os.setsid()
        for number in range(3):
            os.close(number)
        try:
            keep_full(folder, seconds)
        finally:
            clear(folder)
            os._exit(0)
    print(f"{folder}: no space left, after {written >> 10} KiB of {size} MiB")
    return 0


def keep_full(folder: str, seconds: float) -> None:
    """Take what others give back, until the time is over or somebody has taken the file away."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            fill(folder, create=False)
        except FileNotFoundError:
            return
        time.sleep(0.2)


def fill(folder: str, *, create: bool) -> int:
    """Bytes that went into it."""
    written = 0
    file = os.open(Path(folder) / NAME, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if create else 0), 0o600)
    try:
        for chunk in (CHUNK, 1):
            while True:
                try:
                    written += os.write(file, b"\0" * chunk)
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    break
    finally:
        os.close(file)
    return written


def clear(folder: str) -> None:
    """Take the file away."""
    (Path(folder) / NAME).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
