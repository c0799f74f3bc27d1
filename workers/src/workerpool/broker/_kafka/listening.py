"""A wait for the next record: a fetch from the end, which Kafka holds back until there is one.

It belongs to no group, so it takes nothing from anyone; whoever asks needs the right to read the topic. It goes over
connections of its own: a server answers what came over one in its order, and a fetch that nobody waits for any more
would hold up the questions behind it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import TopicPartition, errors
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.fetch import FetchRequest

from workerpool.broker._kafka.failures import of_code
from workerpool.broker._kafka.link import COMMITTED_ONLY, KafkaLink, Topic

Ends = Mapping[TopicPartition, int]
"""The offset that comes next in each partition."""
_HELD_SECONDS: Final = 1.0
"""One fetch is held back for so long at most: shorter than any question may take."""
_ANYTHING: Final = 1
"""Bytes: as few as Kafka gives, which is the first batch whole."""
_MOVED: Final = (
    errors.OffsetOutOfRangeError,
    errors.UnknownTopicOrPartitionError,
    errors.NotLeaderForPartitionError,
    errors.LeaderNotAvailableError,
    errors.ReplicaNotAvailableError,
    errors.StaleMetadata,
)
"""What was known is no longer so: whoever waits has to look anew."""


async def arrival(link: KafkaLink, topics: Mapping[str, Topic], ends: Ends, *, seconds: float) -> bool:
    """Whether a record came behind these ends, or something has changed about the topics.

    Raises:
        BrokerError: one of its kinds.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    held = min(_HELD_SECONDS, link.timeout / 2)
    while (left := until - loop.time()) > 0:
        async with link.calling():
            if await _came(link, topics, ends, milliseconds=max(1, round(1000 * min(left, held)))):
                return True
    return False


async def _came(link: KafkaLink, topics: Mapping[str, Topic], ends: Ends, *, milliseconds: int) -> bool:
    by_node: dict[int, dict[str, list[tuple[int, int, int]]]] = {}
    for one, end in ends.items():
        leader = topics[one.topic].leaders.get(one.partition)
        if leader is None:  # the topic has grown
            return True
        by_node.setdefault(leader, {}).setdefault(one.topic, []).append((one.partition, end, _ANYTHING))
    fetches = [
        asyncio.create_task(_fetch(link, node, list(asked.items()), milliseconds=milliseconds))
        for node, asked in by_node.items()
    ]
    try:
        for fetched in asyncio.as_completed(fetches):
            if await fetched:
                return True
    finally:
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
    return False


async def _fetch(link: KafkaLink, node: int, asked: list[Any], *, milliseconds: int) -> bool:
    request = FetchRequest(milliseconds, _ANYTHING, _ANYTHING, COMMITTED_ONLY, asked)
    try:
        answer = await link.ask(node, request, group=ConnectionGroup.COORDINATION)
        for _, partitions in answer.topics:
            for _, code, *_, records in partitions:
                if (error := of_code(code)) is not None:
                    raise error
                if records:
                    return True
    except _MOVED:
        return True
    return False
