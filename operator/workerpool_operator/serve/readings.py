"""Until when readings of queues count: who has to know that, and how it is told."""

from typing import Protocol

from workerpool_operator.domain.scaling import stale_after
from workerpool_operator.protocol import QueueSample


class Readings(Protocol):
    """Whoever has to know until when the readings of a pool's queues count."""

    def read(self, namespace: str, pool: str, queue: str, *, age: float, stale_after: float) -> None:
        """A queue was read `age` seconds ago; that counts until it is `stale_after` seconds old."""

    def tidy(self) -> None:
        """Forget what has not counted for long: due now and then."""


def tell_reading(readings: Readings, namespace: str, pool: str, sample: QueueSample, *, age: float) -> None:
    """Tell of one that succeeded, and that is so old."""
    if sample.waiting is not None and sample.in_flight is not None:
        readings.read(namespace, pool, sample.queue, age=age, stale_after=stale_after(sample.poll_seconds))
