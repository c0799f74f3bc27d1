"""The jobs that this process works on: what JetStream gives out again of these is no new delivery.

A message is known by its number: whoever acknowledges 7 ends the message that is 7 now. So jobs of a stream that was
deleted and made anew, with numbers from 1 on again, are left behind: JetStream is told nothing of those any more.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from nats.aio.msg import Msg

from workerpool.broker._nats.wire import Delivery, Headers, own
from workerpool.broker._types import Taken


@dataclass(slots=True)
class Holding:
    """A job in flight here."""

    job: Taken
    sequence: int
    headers: Headers
    origin: str
    """What the job is called over all its messages: the sequence of its first one."""
    deadline: float
    """By our monotonic clock: until then nobody else was given it."""
    checkpointed: bool = False
    doubtful: bool = False
    """It was extended too late once: somebody may have it."""


class Held:
    """Of one consumer."""

    def __init__(self) -> None:
        self._holdings: dict[int, Holding] = {}
        self._left_behind: set[str] = set()

    def find(self, sequence: int) -> Holding | None:
        """What we hold under this number."""
        return self._holdings.get(sequence)

    def all(self) -> list[Holding]:
        """In no order."""
        return list(self._holdings.values())

    def leave_behind(self, holding: Holding) -> None:
        """Its stream is gone."""
        self._left_behind.add(holding.job.token)
        if self._holdings.get(holding.sequence) is holding:
            del self._holdings[holding.sequence]

    def gone(self, jobs: Iterable[Taken]) -> frozenset[str]:
        """The tokens of those that were left behind."""
        return frozenset(job.token for job in jobs if job.token in self._left_behind)

    def of(self, job: Taken) -> Holding:
        """Also for a job that was let go, or lost: then it is late."""
        delivery = Delivery.of(job.token)
        found = self._holdings.get(delivery.sequence)
        if found is not None and found.job.token == job.token:
            return found
        headers = {"type": job.type, "id": job.job_id}
        return Holding(job, delivery.sequence, headers, origin="", deadline=0.0)

    def add(self, job: Taken, message: Msg, delivery: Delivery, *, deadline: float) -> Taken:
        """From now on it is held."""
        headers = own(message)
        origin = headers.get("origin", str(delivery.sequence))
        self._holdings[delivery.sequence] = Holding(
            job, delivery.sequence, headers, origin, deadline, checkpointed="checkpointed" in headers
        )
        return job

    def forget(self, jobs: Iterable[Taken]) -> None:
        """They are settled, or somebody else's, or nobody works on them any more."""
        for job in jobs:
            self._left_behind.discard(job.token)
            sequence = Delivery.of(job.token).sequence
            found = self._holdings.get(sequence)
            if found is not None and found.job.token == job.token:
                del self._holdings[sequence]


def is_late(holding: Holding, *, margin: float) -> bool:
    """Whether somebody else may have been given it by now. `margin`: what the way to the server may take, seconds."""
    return holding.doubtful or time.monotonic() > holding.deadline - margin
