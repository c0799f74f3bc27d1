"""Long steps tell on stderr that they go on: a first build that is silent for minutes looks hung."""

from __future__ import annotations

import sys
import threading
import time


def say(text: str) -> None:
    """Tell the user something; stdout is kept for what a shell evaluates."""
    print(text, file=sys.stderr, flush=True)


class Step:
    """Says on stderr what is being done, that it still goes on, and how long it took."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> None:
        say(f"{self._what} ...")
        self._ticker.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._ticker.join()
        say(f"{self._what}: {self._elapsed()}")

    def _tick(self) -> None:
        while not self._done.wait(30):
            say(f"{self._what} ... {self._elapsed()}")

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._started:.0f} s"
