"""What waits, read from outside of the group."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import TopicPartition

from workerpool.broker._kafka.ledger import Committed
from workerpool.broker._kafka.link import EARLIEST, LATEST, KafkaLink, Topic
from workerpool.broker._kafka.names import Names
from workerpool.broker._types import Depth


@dataclass(frozen=True, slots=True)
class _Count:
    """Of one topic and the group that reads it."""

    waiting: int = 0
    in_flight: int = 0
    ever: int = 0
    partitions: int = 0
    ends: Mapping[TopicPartition, int] = field(default_factory=dict)
    lag: Mapping[int, int] = field(default_factory=dict)
    """By partition, what Kafka's own tools call so: up to the end, from the offset that is committed."""


class Reading(NamedTuple):
    """The figures, and up to where they were counted."""

    depth: Depth
    topics: Mapping[str, Topic]
    ends: Mapping[TopicPartition, int]
    """Of the jobs, and of those that wait for another attempt."""


async def read(link: KafkaLink, names: Names) -> Reading:
    """Commits first, then the ends: what comes in between is counted, what is done in between is, too."""
    topics = await link.topics([names.topic, names.retry, names.dead])
    if names.topic not in topics:
        await link.topic(names.topic)  # says that it is missing
    jobs = await _count(link, names, names.topic)
    retries = await _count(link, names, names.retry) if names.retry in topics else _Count()
    dead = await _count(link, names, names.dead, group=names.dead_group) if names.dead in topics else _Count()
    figures = Depth(
        # What waits for another attempt counts from the beginning: only a worker can see when it is due.
        waiting=jobs.waiting + retries.waiting,
        in_flight=jobs.in_flight + retries.in_flight,
        delayed=0,
        oldest_age_seconds=None,
        arrivals_total=jobs.ever,
        dead_letters=dead.waiting,
        partitions=jobs.partitions,
        lag=jobs.lag,
    )
    return Reading(figures, topics, {**jobs.ends, **retries.ends})


async def _count(link: KafkaLink, names: Names, name: str, *, group: str = "") -> _Count:
    topics = {name: await link.topic(name)}
    beginnings = await link.offsets(topics, EARLIEST)
    committed = await link.committed(group or names.group, beginnings)
    ends = await link.offsets(topics, LATEST)
    waiting = in_flight = 0
    lag = {}
    for partition, end in ends.items():
        beginning = beginnings[partition]
        ledger = committed.get(partition, Committed(0)).ledger(beginning=beginning)
        begun, done = ledger.counts()
        in_flight += begun
        lag[partition.partition] = max(0, end - ledger.base)
        waiting += max(0, lag[partition.partition] - begun - done)
    return _Count(waiting, in_flight, sum(ends.values()), len(ends), ends, lag)
