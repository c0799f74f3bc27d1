"""Putting records: acknowledged by all replicas, and by an idempotent producer: what it sends twice is there once."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from workerpool.broker._kafka.ending import ended
from workerpool.broker._kafka.link import KafkaLink
from workerpool.broker._kafka.wire import Outgoing, encoded, fitting

_CHUNK: Final = 500
"""Records that are sent before the answers are waited for."""
_BATCH_BYTES: Final = 262_144
_LARGEST: Final = 1_048_576
"""Bytes of a record, as Kafka takes it unless it is told otherwise."""
_MARGIN: Final = 1_024
_GOODBYE_SECONDS: Final = 1.0


class Post:
    """Of one producer, or consumer."""

    def __init__(self, link: KafkaLink, *, name: str) -> None:
        self._link = link
        self._name = name
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def put(self, outgoing: Sequence[Outgoing]) -> None:
        """Returns when all of them are kept.

        Raises:
            BrokerError: any of them may have been.
        """
        outgoing = [fitting(one, most=_LARGEST - _MARGIN) for one in outgoing]
        for start in range(0, len(outgoing), _CHUNK):
            try:
                async with self._link.calling():
                    await self._put(outgoing[start : start + _CHUNK])
            except BaseException:
                await self.close()  # what is under way comes too late
                raise

    async def close(self) -> None:
        """Let go of it. Never raises."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stopped(producer)

    async def _put(self, outgoing: Sequence[Outgoing]) -> None:
        producer = await self._ready()
        sent = [await producer.send(one.topic, one.payload, headers=encoded(one.headers)) for one in outgoing]
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _ready(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._link.bootstrap,
                    client_id=self._name,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=_LARGEST,
                    request_timeout_ms=round(self._link.timeout * 1000),
                    **self._link.options(),
                )
                try:
                    await producer.start()
                except BaseException:
                    await _stopped(producer)
                    raise
                self._producer = producer
            return self._producer


async def _stopped(producer: Any) -> None:
    """Put nothing more: what was told to have failed must not come later, when Kafka is back."""
    if not await ended(producer.stop(), seconds=_GOODBYE_SECONDS):
        await ended(producer._sender.close(), seconds=_GOODBYE_SECONDS)  # noqa: SLF001  nobody else ends it
        await ended(producer.client.close(), seconds=_GOODBYE_SECONDS)
