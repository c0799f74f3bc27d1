"""What Redis' wall clock shows, as told by its answers and continued by our monotonic clock."""

import time
from typing import Final

from workerpool.telemetry.logs import Log

_LEAST_SLACK_SECONDS: Final = 2.0
"""An answer may take so long: that is no jump."""


class ServerClock:
    """Of one Redis, or of whichever has taken over for it."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # its unix time minus our monotonic time, seconds

    def now_ms(self) -> float:
        """What it shows now; 0 and more, and wrong, before the first answer."""
        return (time.monotonic() + (self._ahead or 0.0)) * 1000.0

    def expected(self, lease: float) -> tuple[int, int]:
        """For scripts: what it should show, and by how much it may differ, ms. (-1, ...) before the first answer."""
        return (-1 if self._ahead is None else round(self.now_ms()), round(slack(lease) * 1000))

    def heard(self, now_ms: int, lease: float) -> None:
        """It showed this a moment ago."""
        ahead = now_ms / 1000.0 - time.monotonic()
        if self._ahead is not None and abs(ahead - self._ahead) > slack(lease):
            Log().warning("the clock of Redis has jumped, leases begin anew", seconds=round(ahead - self._ahead, 1))
        self._ahead = ahead


def slack(lease: float) -> float:
    """Seconds by which it may differ without harm: leases are extended three times each."""
    return max(_LEAST_SLACK_SECONDS, lease / 2)
