"""The queues of a queue: where its jobs wait, where its delayed ones do, and its dead letters. All are quorum queues.

| Queue | Holds |
|---|---|
| `Q` | due jobs |
| `Q.delay.N` | jobs with N to 2 N milliseconds to wait, N = 250 times a power of two; made when one is needed |
| `Q.dead` | dead letters |

A delayed job expires where it waits, by a time to live of its own, and RabbitMQ dead-letters it to `Q` *at least once*:
it keeps the job until `Q` has it. So nothing of ours need be running. RabbitMQ looks for expired messages only at the
head of a queue, hence a queue for each power of two: a job may wait for those before it, so it comes late by no more
than its delay (most often by much less), and never early. Rejected: a queue for each delay (as many as there are
delays), and delays put together of powers of two through as many queues (a write for each), as NServiceBus does.
"""

from typing import Any, Final

from pamqp import commands

from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.errors import ConfigurationError

_FIRST_DELAY_MS: Final = 250
_LONGEST_DELAY_MS: Final = 2**32 - 1
"""A time to live is no longer: 49 days."""
_NEVER: Final = 1_000_000_000
"""Deliveries: RabbitMQ 4 drops a message after 20 of them unless it is told otherwise, and every version takes this."""
_LONGEST_RUN_MS: Final = 2**31 - 1
"""RabbitMQ takes a job back from a consumer that has not settled it for 30 minutes, by default. Workers have timeouts
and heartbeats of their own, so here it is 24 days. Older than 3.12 it does not know the argument: see the docs."""
_DURABLE: Final[dict[str, Any]] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": _NEVER,
    "x-consumer-timeout": _LONGEST_RUN_MS,
}


class Queues:
    """The names that belong to one queue, and what has been declared of it on the connection in use."""

    def __init__(self, name: str) -> None:
        self.main = name
        self.dead = f"{name}.dead"
        self._delays: set[str] = set()

    async def declare(self, connection: AmqpConnection) -> None:
        """Make those that every queue has. One that is there already is left as it is."""
        for name in (self.main, self.dead):
            await count(connection, name)

    def forget(self) -> None:
        """There is a new connection, maybe to a RabbitMQ that has lost queues: they are declared anew."""
        self._delays.clear()

    def missing(self, names: set[str]) -> set[str]:
        """Those of them that were not declared."""
        return names - self._delays

    async def declare_delays(self, connection: AmqpConnection, names: set[str]) -> None:
        """Make those that are missing of these."""
        for name in sorted(self.missing(names)):
            arguments = _DURABLE | {
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.main,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",  # the other way to overflow excludes that strategy
            }
            method = commands.Queue.Declare(queue=name, durable=True, arguments=arguments)
            await connection.call(method, commands.Queue.DeclareOk)
            self._delays.add(name)

    def delayed_by(self, seconds: float) -> tuple[str, int]:
        """Where a job waits for so long, and for how many milliseconds.

        Raises:
            ConfigurationError: RabbitMQ cannot hold anything for so long.
        """
        wait = max(1, round(seconds * 1000))
        if wait > _LONGEST_DELAY_MS:
            raise ConfigurationError("RabbitMQ delays a job by 49 days at most")
        step = _FIRST_DELAY_MS
        while step * 2 <= wait:
            step *= 2
        return f"{self.main}.delay.{step}", wait


async def count(connection: AmqpConnection, name: str) -> tuple[int, int]:
    """How many jobs are ready in a queue, and how many consumers it has; makes it if it is not there."""
    method = commands.Queue.Declare(queue=name, durable=True, arguments=_DURABLE)
    found = await connection.call(method, commands.Queue.DeclareOk)
    return found.message_count or 0, found.consumer_count or 0


async def sure_count(connection: AmqpConnection, name: str) -> int:
    """How many jobs are ready in a queue, for those whom a wrong 0 would mislead.

    RabbitMQ says 0 jobs and 0 consumers also when it cannot ask the queue's leader within 250 ms (`stat` in its
    `rabbit_quorum_queue.erl`): that answer must come twice.
    """
    ready, consumers = await count(connection, name)
    if not ready and not consumers:
        ready, _ = await count(connection, name)
    return ready
