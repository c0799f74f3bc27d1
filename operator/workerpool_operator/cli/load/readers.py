"""Which way the figures of single jobs come, by what the queue's broker has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Protocol

from workerpool import Queue
from workerpool.broker import Broker
from workerpool_operator.cli.load import results
from workerpool_operator.cli.load.records import Batch, open_reader


class Way(StrEnum):
    """How the figures of jobs were had."""

    STREAM = "stream"
    """From records of single jobs in a stream beside the queue, with times by the clock of Redis."""
    QUEUE = "queue"
    """From records of single jobs in a queue beside the queue, with times by the workers' clocks, set by ours."""
    WORKERS = "workers"
    """From the histograms of the workers' metrics: between which bounds the figures lie."""
    DEPTH = "depth"
    """From nothing but the depth of the queue, and the dead letters: no single jobs."""


class Reader(Protocol):
    """Tells what workers wrote of jobs. Methods raise `BrokerError`; after one, call them again."""

    async def begin(self) -> None:
        """What is there now does not count."""
        ...

    async def clock_offset(self) -> float:
        """Unix time of the clock of records minus our monotonic time, in seconds; 0 where each says when it came."""
        ...

    async def next(self) -> Batch:
        """What has come since the last call; waits for a quarter of a second at most."""
        ...


@asynccontextmanager
async def open_records(address: Queue, queue: Broker) -> AsyncIterator[tuple[Reader, Way]]:
    """Of workers that write records: where the records of this broker are. `queue`: the same, to look at."""
    if address.source.system == "redis":
        async with open_reader(address) as reader:
            yield reader, Way.STREAM
        return
    beside = results.ResultReader(queue, address.source.beside(results.NAME).connect())
    try:
        yield beside, Way.QUEUE
    finally:
        await beside.close()
