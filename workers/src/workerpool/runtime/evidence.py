"""The worker's own evidence that it lives, written by the loop and read by the health server's thread.

Liveness looks at nothing else: not at the broker's health, not at the queue. Else one outage downstream would restart
a whole fleet. While taking is paused nothing about taking is held against the worker.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

START_SECONDS: Final = 300.0
"""How long a worker may take from the opening of its health port until it can take jobs: its program's imports and its
`lifespan`. Generous, since a restart begins from nothing; a start never waits for the broker."""


class Evidence:
    """Plain attributes, each written by the loop only: reading one is atomic.

    Attributes:
        waits_for: What the start is known to wait for; empty: the program itself.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stuck = math.inf
        self._clock = clock
        self._made = self._beat = clock()
        self._unstarted_since: float | None = None
        self._lane_problem, self._lane_problem_since = "", 0.0
        self._takes: dict[str, float] = {}
        self._left_start = threading.Event()
        self.waits_for = ""
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

    def beat(self, *, unstarted_since: float | None, lane_problem: str = "") -> None:
        """The loop turned.

        `unstarted_since`: when the oldest job that waits here to be started was taken. `lane_problem`: why a lane
        cannot be brought back into order; it may still recover by itself.
        """
        self._beat = self._clock()
        self._unstarted_since = unstarted_since
        if not self._lane_problem:
            self._lane_problem_since = self._beat
        self._lane_problem = lane_problem

    def take_began(self, queue: str, *, wait: float) -> None:
        """A take that should return within `wait` seconds began."""
        self._takes = {**self._takes, queue: self._clock() + wait}

    def take_ended(self, queue: str) -> None:
        """It returned, with jobs, without or with an error."""
        self._takes = {name: due for name, due in self._takes.items() if name != queue}

    def problem(self) -> str:
        """What is wrong with this worker; empty when nothing is. Until it has started only that takes time."""
        now = self._clock()
        if not self.started:
            return self._slow_start(now - self._made)
        silent = now - self._beat
        if silent > self._stuck:
            return f"the event loop has not turned for {silent:.0f} s: a handler blocks it"
        for queue, due in self._takes.items():
            if now - due > self._stuck:
                return f"taking from queue {queue} is {now - due:.0f} s late"
        if self._lane_problem and now - self._lane_problem_since > self._stuck:
            return self._lane_problem
        since = self._unstarted_since
        if since is not None and now - since > self._stuck:
            return f"a job was taken {now - since:.0f} s ago and has not been started"
        return ""

    def _slow_start(self, seconds: float) -> str:
        if seconds <= START_SECONDS:
            return ""
        why = self.waits_for or (
            "its imports or its lifespan hang; give what they wait for a timeout, or load it later, in the first job "
            "that needs it"
        )
        return f"the worker has not started for {seconds:.0f} s, {START_SECONDS:.0f} are allowed: {why}"

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
