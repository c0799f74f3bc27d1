"""The server's clock, as far as it can be told from here."""

import time
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
"""What was heard counts for so long at least, and for twice that at most: clocks drift, and are set."""


class ServerClock:
    """By what it shows in the server's answers.

    Each comes late, by its way and by what the event loop did meanwhile, and none comes early. So of what was heard of
    late the one that is furthest ahead is the truest, and one slow answer puts nothing back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Nothing is heard yet."""
        self._monotonic = monotonic
        self._since = 0.0
        self._heard: float | None = None
        self._before: float | None = None

    def hear(self, moment: float) -> None:
        """The server's clock has just shown this, in Unix seconds."""
        now = self._monotonic()
        ahead = moment - now
        if self._heard is None or now - self._since >= _WINDOW_SECONDS:
            self._before, self._heard, self._since = self._heard, ahead, now
        else:
            self._heard = max(self._heard, ahead)

    def now(self) -> float:
        """Unix seconds by the server's clock; by this machine's until something was heard."""
        if self._heard is None:
            return time.time()
        ahead = self._heard if self._before is None else max(self._heard, self._before)
        return self._monotonic() + ahead
