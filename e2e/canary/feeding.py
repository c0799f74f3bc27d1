"""Jobs at an even rate for as long as a scenario lasts, and what became of each of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e.scene import Scene
from e2e.support.wait import wait_for


class Feed:
    """Puts jobs from a thread of its own until it is stopped."""

    def __init__(self, scene: Scene, stream: str, *, per_minute: float, seconds: float) -> None:
        self._scene, self._stream, self._pause, self._seconds = scene, stream, 60.0 / per_minute, seconds
        self._over = threading.Event()
        self._put: set[str] = set()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more jobs."""
        self._over.set()
        self._thread.join(timeout=15)

    def lost(self, *, seconds: float) -> int:
        """Stop, wait until each job was done, and give how many were not: those in the dead letters are."""
        self.stop()
        if self._error:
            raise self._error
        try:
            wait_for(lambda: not self._missing(), seconds=seconds, what="each job done", pause=1.0)
        except TimeoutError:
            return len(self._missing())
        return 0

    @property
    def jobs(self) -> int:
        """Put so far."""
        return len(self._put)

    def _missing(self) -> set[str]:
        with self._scene.broker() as client:
            entries: Any = client.xrange(f"{{{self._stream}}}:user:results")
        return self._put - {fields["job"] for _, fields in entries}

    def _run(self) -> None:
        try:
            with self._scene.broker() as client:
                due, number = time.monotonic(), 0
                while not self._over.wait(max(0.0, due - time.monotonic())):
                    due, number, job = due + self._pause, number + 1, f"{self._stream}-{number}"
                    payload = json.dumps({"seconds": self._seconds})
                    client.xadd(self._stream, {"id": job, "type": "work", "payload": payload})
                    self._put.add(job)
        except Exception as error:  # noqa: BLE001  it is raised where the jobs are counted
            self._error = error


@contextmanager
def feeding(scene: Scene, stream: str, *, per_minute: float, seconds: float) -> Iterator[Feed]:
    """Feed a stream with jobs that take so many seconds, for as long as the context lasts."""
    feed = Feed(scene, stream, per_minute=per_minute, seconds=seconds)
    try:
        yield feed
    finally:
        feed.stop()
