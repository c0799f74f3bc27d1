"""Write points: the moments between two writes of a client, at each of which it may die."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_NO_STATE: Final = re.compile(r"/(leases|events|tokenreviews|subjectaccessreviews|selfsubjectaccessreviews)(/|\?|$)")


@dataclass(slots=True)
class Write:
    """One request that changes what the cluster should be."""

    number: int
    """1 for the first since the proxy started or :meth:`WritePoints.arm` was called."""
    method: str
    target: str
    status: int | None = None
    """The server's answer; None while there is none."""
    at: float = field(default_factory=time.monotonic)
    """When it came, by the monotonic clock."""

    def __str__(self) -> str:
        """The method, and what it was about: PATCH deployments thumbs-1a2b3c4d-5e6f70."""
        _, _, within = self.target.partition("?")[0].partition("/namespaces/")
        what = within.partition("/")[2] or self.target.partition("?")[0]
        return f"{self.method} {what.replace('/', ' ')}"


class Verdict(StrEnum):
    """What happens to a request."""

    PASS = "pass"  # noqa: S105  not a password
    """It is passed on, and its answer passed back."""
    LAST = "last"
    """It is passed on, then the client is ended; the answer is never delivered."""
    REFUSE = "refuse"
    """It is not passed on: the client should be dead by now."""


class WritePoints:
    """Counts writes, and ends the client after the one that was asked for.

    Leases, events and reviews do not count: no state of a pool hangs on them, and the lease's renewals would make
    the count a matter of time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[Write] = []
        self._nth: int | None = None
        self._counts: Callable[[Write], bool] = lambda _: True
        self._counted = 0
        self._end: Callable[[Write], None] = lambda _: None
        self._fired = threading.Event()
        self._ending = False

    @property
    def seen(self) -> list[Write]:
        """The writes so far, in the order in which they came."""
        with self._lock:
            return list(self._seen)

    def arm(self, nth: int, end: Callable[[Write], None], *, counts: Callable[[Write], bool] = lambda _: True) -> None:
        """Start to count anew, and call `end` after the server has answered the `nth` write from now on.

        Only writes that `counts` says yes to are counted; it must be quick.
        `end` runs in a thread and must return only when the client is dead; until then its other writes are
        refused. Afterwards everything passes: a new client starts.
        """
        with self._lock:
            self._seen.clear()
            self._nth, self._end = nth, end
            self._counts, self._counted = counts, 0
            self._ending = False
            self._fired.clear()

    def reset(self) -> None:
        """Start to count anew, and end nobody."""
        with self._lock:
            self._seen.clear()
            self._nth, self._ending = None, False

    def wait_fired(self, seconds: float) -> bool:
        """Block until the client was ended, for so many seconds at most; False when it was not."""
        return self._fired.wait(seconds)

    def begin(self, method: str, target: str) -> tuple[Write | None, Verdict]:
        """A request arrived: what it counts as, and what is to happen to it."""
        if method not in _WRITING or _NO_STATE.search(target):
            return None, Verdict.PASS
        with self._lock:
            if self._ending:
                return None, Verdict.REFUSE
            write = Write(len(self._seen) + 1, method, target)
            self._seen.append(write)
            if self._counts(write):
                self._counted += 1
                self._ending = self._counted == self._nth
            return write, Verdict.LAST if self._ending else Verdict.PASS

    def missed(self) -> None:
        """The last write never got an answer from the server: nobody is ended, and everything passes again."""
        with self._lock:
            self._nth, self._ending = None, False

    def end_client(self, write: Write) -> None:
        """The server has answered the last write: end the client, then let everything pass."""
        try:
            self._end(write)
        finally:
            with self._lock:
                self._nth, self._ending = None, False
            self._fired.set()
