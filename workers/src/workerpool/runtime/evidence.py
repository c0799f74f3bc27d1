"""The worker's own evidence that it lives, written by the loop and read by the health server's thread.

Liveness looks at nothing else: not at the broker's health, not at the queue. Else one outage downstream would restart
a whole fleet. While taking is paused nothing about taking is held against the worker.
"""

import math
import threading
import time
from collections.abc import Callable


class Evidence:
    """Plain attributes, each written by the loop only: reading one is atomic."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stuck = math.inf
        self._clock = clock
        self._beat = clock()
        self._unstarted_since: float | None = None
        self._takes: dict[str, float] = {}
        self._left_start = threading.Event()
        self.started = False
        self.draining = False

    def start(self, *, stuck_seconds: float) -> None:
        """The worker can take jobs. From now on it is judged, by this limit to how long it may make no progress."""
        self._stuck = stuck_seconds
        self._beat = self._clock()
        self.started = True
        self._left_start.set()

    def drain(self) -> None:
        """The worker takes no more jobs."""
        self.draining = True
        self._left_start.set()

    def beat(self, *, unstarted_since: float | None) -> None:
        """The loop turned. `unstarted_since`: when the oldest job that waits here to be started was taken."""
        self._beat = self._clock()
        self._unstarted_since = unstarted_since

    def take_began(self, queue: str, *, wait: float) -> None:
        """A take that should return within `wait` seconds began."""
        self._takes = {**self._takes, queue: self._clock() + wait}

    def take_ended(self, queue: str) -> None:
        """It returned, with jobs, without or with an error."""
        self._takes = {name: due for name, due in self._takes.items() if name != queue}

    def problem(self) -> str:
        """What is wrong with this worker; empty when nothing is. Before it has started nothing can be said."""
        if not self.started:
            return ""
        now = self._clock()
        silent = now - self._beat
        if silent > self._stuck:
            return f"the event loop has not turned for {silent:.0f} s: a handler blocks it"
        for queue, due in self._takes.items():
            if now - due > self._stuck:
                return f"taking from queue {queue} is {now - due:.0f} s late"
        since = self._unstarted_since
        if since is not None and now - since > self._stuck:
            return f"a job was taken {now - since:.0f} s ago and has not been started"
        return ""

    @property
    def starting(self) -> bool:
        """Neither started yet nor given up."""
        return not self._left_start.is_set()

    def wait_started(self, seconds: float) -> None:
        """Blocks its thread, at most so long, while the worker is starting."""
        self._left_start.wait(seconds)

    @property
    def ready(self) -> bool:
        """Started and not draining, nothing else."""
        return self.started and not self.draining
