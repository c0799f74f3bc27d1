"""Moves that happen as a whole or not at all, made by one at a time: Kafka's transactions.

For dead letters, which nobody owns. All who remove those of one queue are the same producer to Kafka: who begins puts
an end to what another one is at. What that had under way is as if it had never been, and it is told so. Jobs that run
are owned by their worker, and settled without transactions: see `settling`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from workerpool.broker._kafka.ending import ended
from workerpool.broker._kafka.ledger import Committed
from workerpool.broker._kafka.link import KafkaLink
from workerpool.broker._kafka.names import Names
from workerpool.broker._kafka.post import new_producer, send, stopped
from workerpool.broker._kafka.wire import Outgoing

_UNDONE_AFTER: Final = 2
"""Times the timeout, and Kafka undoes what a dead one has begun. Until then nobody reads what was put after that."""
_GOODBYE_SECONDS: Final = 1.0


class Moves:
    """From the dead letters of one queue, with their ledger. Made by `moving`."""

    def __init__(self, link: KafkaLink, names: Names, producer: Any) -> None:
        self._link = link
        self._names = names
        self._producer = producer

    async def move(self, outgoing: Sequence[Outgoing], partition: TopicPartition, committed: Committed) -> None:
        """Put these records and commit, both or neither.

        Raises:
            BrokerError: which of the two is not known; who looks next will see. It has ended, or somebody else removes
                dead letters, too.
        """
        offsets = {partition: OffsetAndMetadata(committed.offset, committed.text)}
        async with self._link.calling():
            await self._producer.begin_transaction()
            await send(self._producer, outgoing)
            await self._producer.send_offsets_to_transaction(offsets, self._names.dead_group)
            await self._producer.commit_transaction()


@asynccontextmanager
async def moving(link: KafkaLink, names: Names, *, name: str) -> AsyncIterator[Moves]:
    """Nobody else moves anything from here on, or this one is told so. What is there is to be read after that.

    Raises:
        BrokerError: Kafka does not answer, or does not let this user do so.
    """
    undone_ms = round(_UNDONE_AFTER * link.timeout * 1000)
    producer = new_producer(link, name=name, transactional_id=names.dead, transaction_timeout_ms=undone_ms)
    try:
        async with link.calling():
            await producer.start()
        yield Moves(link, names, producer)
    except BaseException:
        await ended(producer.abort_transaction(), seconds=_GOODBYE_SECONDS)  # or those who read would wait
        raise
    finally:
        await stopped(producer)
