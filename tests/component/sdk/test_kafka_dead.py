"""Dead letters are removed by one at a time, whole chunks or nothing of them."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.component.sdk.kafka_views import Open, jobs, new_topic, open_kafka, take
from tests.support.kafka import KafkaServer
from workerpool.broker import DeadJobs, DeadLetter, DeathReason, Retry
from workerpool.broker._kafka import KafkaBroker
from workerpool.errors import BrokerUnavailable

pytestmark = [pytest.mark.component, pytest.mark.kafka]

__all__ = ["open_kafka"]  # a fixture


async def bury(broker: KafkaBroker, count: int) -> None:
    """So many jobs, all of them dead."""
    await broker.put(jobs(count))
    letters = [DeadLetter(job, DeathReason.REJECTED) for job in await take(broker, count)]
    assert await broker.dead_letter(letters) == frozenset()


class Held:
    """Stops whoever moves dead letters right before the commit, the first of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there, self.go_on = asyncio.Event(), asyncio.Event()
        self._commit = AIOKafkaProducer.commit_transaction
        monkeypatch.setattr(AIOKafkaProducer, "commit_transaction", self._held_commit())

    def _held_commit(self) -> Any:
        async def commit(producer: Any) -> None:
            if not self.there.is_set():
                self.there.set()
                await self.go_on.wait()
            await self._commit(producer)

        return commit


@pytest.mark.parametrize("end", ["goes on", "dies"])
async def test_of_two_who_redrive_at_once_the_first_is_kept_from_it_and_no_job_is_doubled(
    end: str, open_kafka: Open, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic(kafka_server)
    first, second = (open_kafka(kafka_server.url, topic=topic) for _ in range(2))
    await bury(first, 5)
    held = Held(monkeypatch)
    redriving = asyncio.create_task(first.redrive(DeadJobs()))
    await held.there.wait()
    if end == "dies":
        monkeypatch.setattr(AIOKafkaProducer, "abort_transaction", lambda _: asyncio.sleep(0))  # nor says goodbye
        redriving.cancel()
        await asyncio.wait([redriving])
    assert await second.redrive(DeadJobs()) == 5
    held.go_on.set()
    with pytest.raises(asyncio.CancelledError if end == "dies" else BrokerUnavailable) as told:
        await redriving
    assert end == "dies" or "removed from another place" in str(told.value)
    assert sorted(job.payload for job in await take(first, 5)) == [b"0", b"1", b"2", b"3", b"4"]
    assert await first.take(limit=5, wait=0.5) == []
    depth = await second.depth()
    assert (depth.waiting, depth.in_flight, depth.dead_letters) == (0, 5, 0)


async def test_who_gives_up_in_the_middle_of_a_redrive_has_moved_nothing(
    open_kafka: Open, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And holds up nobody who reads."""
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    await bury(broker, 3)
    held = Held(monkeypatch)
    redriving = asyncio.create_task(broker.redrive(DeadJobs()))
    await held.there.wait()
    redriving.cancel()
    await asyncio.wait([redriving])
    depth = await broker.depth()
    assert depth.dead_letters == 3
    await broker.put(jobs(1))
    [job] = await take(broker, 1)
    await broker.retry_later([Retry(job, 0.0)])
    [again] = await take(broker, 1, seconds=5)
    assert again.payload == job.payload
