"""Locks between commands, held by the kernel: they end with their holder, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from e2e.cluster import progress


@contextlib.contextmanager
def exclusive(path: Path, *, waiting_for: str) -> Iterator[None]:
    """Hold a lock file; who has to wait is told what for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for {waiting_for}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
