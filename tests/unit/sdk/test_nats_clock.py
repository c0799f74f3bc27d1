"""The idea that a worker has of a NATS server's clock."""

import time

import pytest

from workerpool.broker._nats.clock import ServerClock

AHEAD = 1_000_000.0
"""The server's clock, before the one that goes on evenly here."""


class Here:
    """The clock that goes on evenly, turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clock = ServerClock(lambda: self.now)

    def hear(self, *, late: float) -> None:
        """An answer that was so long on its way."""
        self.clock.hear(AHEAD + self.now - late)

    def behind(self) -> float:
        """Seconds, of what the server's clock shows."""
        return AHEAD + self.now - self.clock.now()


def test_until_something_was_heard_it_is_this_machines_clock() -> None:
    assert ServerClock().now() == pytest.approx(time.time(), abs=10)


def test_a_slow_answer_puts_nothing_back() -> None:
    """An event loop that was held up for half a second took so much of the rate limit of all other workers."""
    here = Here()
    for late in (0.3, 0.002, 0.5):
        here.hear(late=late)
        here.now += 1
    assert here.behind() == pytest.approx(0.002)


def test_a_clock_that_was_set_back_is_followed_within_two_minutes() -> None:
    here = Here()
    here.hear(late=0.0)
    for _ in range(12):
        here.now += 10
        here.hear(late=30.0)
    assert here.behind() == pytest.approx(30.0)


def test_after_a_long_silence_the_first_answer_is_not_all_there_is() -> None:
    here = Here()
    here.hear(late=0.001)
    here.now += 600
    here.hear(late=2.0)
    assert here.behind() == pytest.approx(0.001)
