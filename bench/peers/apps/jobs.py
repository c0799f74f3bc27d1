"""What the handlers of every library do, and where they say so. Standard library only: each library has its own Python.

| File in BENCH_FOLDER | Gets |
|---|---|
| `count` | a byte for each job that starts |
| `starts` | for a job that carries the moment when it was due: that moment and now, as doubles |
| `probe` | the process that started the job whose worker is to be killed |

One `write` to a file opened for appending is atomic, from any thread or process, and costs about a microsecond.
"""

import os
import struct
import time
from pathlib import Path

URL = os.environ["BENCH_REDIS"]
FOLDER = Path(os.environ["BENCH_FOLDER"])
SLOTS = 50
REDELIVERY_SECONDS = 5
"""How long each library waits until it takes a job for abandoned, as near as it can be set."""
IO_SECONDS = 0.01
_DIE_HERE_SECONDS = 300
_APPEND = os.O_CREAT | os.O_WRONLY | os.O_APPEND
_COUNT = os.open(FOLDER / "count", _APPEND)
_STARTS = os.open(FOLDER / "starts", _APPEND)


def started(due: float | None) -> None:
    """A job starts."""
    os.write(_COUNT, b".")
    if due is not None:
        os.write(_STARTS, struct.pack("<dd", due, time.time()))


def probe_seconds() -> float:
    """How long the probe's attempt takes: the first one until it is killed, the next one nothing."""
    with (FOLDER / "probe").open("a") as file:
        first = file.tell() == 0
        file.write(f"{os.getpid()}\n")
    return _DIE_HERE_SECONDS if first else 0
