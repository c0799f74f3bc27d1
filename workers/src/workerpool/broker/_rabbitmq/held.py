"""The jobs that RabbitMQ gave to this process and that are not settled, on the connection that is in use."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pamqp import base, commands

from workerpool.broker._rabbitmq.messages import Delivery
from workerpool.broker._types import Taken


class Kept(NamedTuple):
    """What is known of a job in flight beside what its consumer sees."""

    tag: int
    consumer: str
    """To be cancelled before the job is settled, or its next one would come; empty: it came by a get."""
    headers: Mapping[str, Any]
    checkpoint: bytes


class Held:
    """Of one consumer. A new connection begins with nothing: the jobs of the one before are back in the queue."""

    def __init__(self) -> None:
        self._generation = 0
        self._kept: dict[str, Kept] = {}  # in the order of their tags
        self.told = 0
        """Jobs that were settled on this connection: see `Taking.finish`."""

    def __contains__(self, token: str) -> bool:
        return token in self._kept

    def __getitem__(self, token: str) -> Kept:
        return self._kept[token]

    def begin(self) -> None:
        """There is a new connection, or none any more: nothing is ours."""
        self._generation += 1
        self._kept.clear()
        self.told = 0

    def add(self, delivery: Delivery) -> str:
        """It was given to us; returns its token."""
        token = f"{self._generation}-{delivery.tag}"
        self._kept[token] = Kept(delivery.tag, delivery.consumer, delivery.properties.headers or {}, b"")
        return token

    def keep_checkpoint(self, token: str, state: bytes) -> None:
        """For the next attempt."""
        self._kept[token] = self._kept[token]._replace(checkpoint=state)

    def ours(self, jobs: Sequence[Taken]) -> list[Taken]:
        """Those of them that are."""
        return [job for job in jobs if job.token in self._kept]

    def forget(self, tokens: Iterable[str]) -> list[base.Frame]:
        """These are done: what RabbitMQ is to be told. One frame for all up to a tag, where they are all there are."""
        done = {token for token in tokens if token in self._kept}
        frames = self._cancelled(done)
        first = 0
        for token, kept in self._kept.items():
            if token not in done:
                break
            first = kept.tag
        if first:
            frames.append(commands.Basic.Ack(first, multiple=True))
        frames += [commands.Basic.Ack(self._kept[token].tag) for token in done if self._kept[token].tag > first]
        for token in done:
            del self._kept[token]
        self.told += len(done)
        return frames

    def give_back(self, token: str) -> list[base.Frame]:
        """Nobody works on it: what RabbitMQ is to be told."""
        frames = [*self._cancelled({token}), commands.Basic.Nack(self._kept[token].tag, requeue=True)]
        del self._kept[token]
        return frames

    def give_back_of(self, consumer: str) -> list[base.Frame]:
        """The same for what came to this consumer."""
        tokens = [token for token, kept in self._kept.items() if kept.consumer == consumer]
        return [frame for token in tokens for frame in self.give_back(token)]

    def _cancelled(self, tokens: Collection[str]) -> list[base.Frame]:
        """The ends of their consumers, which nobody waits for."""
        consumers = [self._kept[token].consumer for token in tokens]
        return [commands.Basic.Cancel(consumer, nowait=True) for consumer in consumers if consumer]
