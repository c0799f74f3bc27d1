"""What the reconciler needs of the external metrics API: a place for the numbers that it decides on."""

from collections.abc import Collection
from typing import Protocol


class Values(Protocol):
    """The wanted size of each pool, for whoever asks by the metrics API.

    Publishing says nothing about how long the value holds: it is as fresh as the readings that it follows from, and the
    board hears of those by itself. What is published while this replica does not lead is not kept.
    """

    def publish(self, namespace: str, pool: str, value: int, *, queues: Collection[str]) -> None:
        """So many workers are wanted, by the readings of the pool's `queues` that have just been looked at."""

    def withdraw(self, namespace: str, pool: str) -> None:
        """There is no such number: the pool is gone, or a person sets its size."""
