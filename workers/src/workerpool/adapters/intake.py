"""For libraries that fetch in several threads: whether they may, and whether each of them still turns."""

import threading
import time
from collections.abc import Callable, Collection, Hashable

from workerpool.adapters.bridge import BEAT_SECONDS


class FetchGate:
    """Lets fetchers fetch, or not, and knows when none of them can bring anything more. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._fetching: set[Hashable] = set()
        self._pausing: list[Callable[[], None]] = []
        self._shut = False

    def enter(self, fetcher: Hashable) -> bool:
        """Whether it may fetch now. It has to `leave` when it holds nothing that it is yet to tell of.

        One that has not left goes on behind a closed gate: it holds what the broker has given to it already.
        """
        with self._lock:
            if not self._open.is_set() and fetcher not in self._fetching:
                return False
            self._fetching.add(fetcher)
            return True

    def leave(self, fetcher: Hashable) -> None:
        """All that it was given has been told; or it has failed, and holds nothing."""
        with self._lock:
            self._fetching.discard(fetcher)
            pausing = self._all_left()
        for paused in pausing:
            paused()

    def close(self, paused: Callable[[], None]) -> None:
        """Nobody enters; `paused` is called when the last one has left, which may be at once."""
        with self._lock:
            self._open.clear()
            self._pausing.append(paused)
            pausing = self._all_left()
        for told in pausing:
            told()

    def open(self) -> None:
        """They may again, unless it is shut."""
        with self._lock:
            self._pausing = []
            if not self._shut:
                self._open.set()

    def shut(self) -> None:
        """Close it for good: the worker drains."""
        with self._lock:
            self._shut = True
            self._open.clear()

    def wait(self, seconds: float) -> None:
        """Block its thread until it is open, at most so long."""
        self._open.wait(seconds)

    def _all_left(self) -> list[Callable[[], None]]:
        if self._open.is_set() or self._fetching:
            return []
        pausing, self._pausing = self._pausing, []
        return pausing


class Rounds:
    """Whether all of a library's fetchers turn and reach their broker: one that hangs stops the rounds.

    For any thread; what is given is called without a lock held.
    """

    def __init__(
        self,
        fetchers: Callable[[], Collection[str]],
        *,
        turned: Callable[[], None],
        reached: Callable[[], None],
        away: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetchers`: their names now; none: not all of them have been started.

        `turned` is called after each round, at most twice per `BEAT_SECONDS`; `reached` after the first one in which
        all have reached their broker, and again when they do after `away`.
        """
        self._fetchers = fetchers
        self._turned = turned
        self._reached = reached
        self._away = away
        self._clock = clock
        self._lock = threading.Lock()
        self._round: set[str] = set()
        self._failing: set[str] = set()
        self._reaches = False
        self._next = clock()

    def turn(self, fetcher: str) -> None:
        """It has asked its broker, which has answered."""
        with self._lock:
            self._failing.discard(fetcher)
            self._round.add(fetcher)
            now, fetchers = self._clock(), self._fetchers()
            if now < self._next or not fetchers or not self._round.issuperset(fetchers):
                return
            self._round.clear()
            self._next = now + BEAT_SECONDS / 2
            back = not self._reaches and not self._failing
            self._reaches = self._reaches or back
        if back:
            self._reached()
        self._turned()

    def fail(self, fetcher: str, why: str) -> None:
        """It could not; its library tries again."""
        with self._lock:
            self._failing.add(fetcher)
            self._round.discard(fetcher)
            self._reaches = False
        self._away(why)
