"""The token bucket, pure: a level that is brought up to date when somebody draws. Redis' is `_redis/lua/tokens.lua`."""

import math
from typing import Final, NamedTuple

from workerpool.broker._types import Tokens
from workerpool.errors import ConfigurationError

BURST_SECONDS: Final = 0.25
"""What comes in this time can be drawn at once: so long may all who draw be late without the rate being lost."""
CLOCKS_APART_SECONDS: Final = BURST_SECONDS
"""Where each who draws has an idea of its own of the broker's time, as on NATS, these are milliseconds apart. Of clocks
further apart than what the bucket holds the one ahead must not count: what comes while the others wait is lost."""


def burst(rate: float) -> float:
    """How many tokens a bucket holds. Always a fraction more than one: else who comes late for one loses time."""
    return 1.0 + rate * BURST_SECONDS


class Level(NamedTuple):
    """How full a bucket was at a moment, in seconds of the broker's clock."""

    tokens: float
    at: float


def check(*, rate: float, burst: float) -> None:
    """Raise ConfigurationError for a bucket that could never give anything."""
    if not (rate > 0 and burst >= 1):
        raise ConfigurationError(f"a bucket needs a rate above 0 and a burst of 1 or more, not {rate:g} and {burst:g}")


def filled(level: Level | None, *, now: float, rate: float, burst: float) -> float:
    """How many tokens are there by now."""
    return burst if level is None else min(burst, level.tokens + max(0.0, now - level.at) * rate)


def draw(level: Level | None, *, now: float, count: int, rate: float, burst: float) -> tuple[Level, Tokens]:
    """The level afterwards, and what is given. A clock that was set back neither gives nor takes.

    Of clocks that are a little apart the one ahead counts: whoever wrote an earlier moment down than is there would
    give the difference once more to the next who draws.
    """
    check(rate=rate, burst=burst)
    there = filled(level, now=now, rate=rate, burst=burst)
    granted = min(count, math.floor(there))
    left, missing = min(burst, there - granted), count - granted
    behind = 0.0 if level is None else level.at - now
    ahead = behind if 0 < behind <= CLOCKS_APART_SECONDS else 0.0
    wait = ahead + max(0.0, min(missing, burst) - left) / rate if missing else 0.0
    return Level(left, now + ahead), Tokens(granted, wait)
