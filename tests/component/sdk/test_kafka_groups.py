"""Partitions come and go while jobs run: what is done stays done, what is lost is told, nothing is gone."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.component.sdk.kafka_views import Open, jobs, new_topic, open_kafka, take
from tests.support.kafka import KafkaServer
from tests.support.waiting import until
from workerpool.broker import DeadLetter, DeathReason, NewJob, Retry
from workerpool.broker._kafka import KafkaBroker, ledger
from workerpool.errors import ConfigurationError, NothingAssigned, PayloadInvalid

pytestmark = [pytest.mark.component, pytest.mark.kafka]

__all__ = ["open_kafka"]  # a fixture


async def shares(*brokers: KafkaBroker) -> list[int]:
    """How many partitions of the topic each of them has, once it is settled."""
    return [sum(not part.timed for part in broker._group.parts.values()) for broker in brokers]


async def test_jobs_end_in_any_order_and_who_comes_next_gets_only_the_others(
    open_kafka: Open, kafka_server: KafkaServer
) -> None:
    topic = await new_topic(kafka_server)
    first, second = (open_kafka(kafka_server.url, topic=topic) for _ in range(2))
    await first.put(jobs(6))
    taken = await take(first, 5)
    await first.ack([taken[number] for number in (1, 3, 4)])
    await first.close()
    again = await take(second, 3)
    assert [(job.payload, job.attempt, job.redelivered) for job in again] == [
        (b"0", 2, True),
        (b"2", 2, True),
        (b"5", 1, False),
    ]
    assert await second.ack(again) == frozenset()
    assert (await second.depth()).unfinished == 0


async def test_who_is_not_heard_of_loses_its_jobs_after_the_lease(open_kafka: Open, kafka_server: KafkaServer) -> None:
    topic = await new_topic(kafka_server)
    dead, heir = (open_kafka(kafka_server.url, topic=topic) for _ in range(2))
    await dead.put(jobs(1))
    [mine] = await take(dead, 1)
    coordinator = dead._group._consumer._coordinator  # a process that was killed sends no heartbeats
    coordinator._coordination_task.cancel()
    await coordinator._stop_heartbeat_task()
    [theirs] = await take(heir, 1)
    assert (theirs.payload, theirs.attempt, theirs.redelivered) == (mine.payload, 2, True)
    assert await heir.ack([theirs]) == frozenset()


async def test_a_partition_that_moves_takes_its_running_jobs_along(open_kafka: Open, kafka_server: KafkaServer) -> None:
    topic = await new_topic(kafka_server, partitions=4)
    one, two = (open_kafka(kafka_server.url, topic=topic) for _ in range(2))
    await one.put(jobs(40))
    mine = await take(one, 40)
    done, running = mine[:10], mine[10:]
    await one.ack(done)

    async def shared() -> bool:
        await take(two, 0)
        await one.extend(running)
        return await shares(one, two) == [2, 2]

    joining = asyncio.create_task(take(two, 1))
    await until(lambda: one.extend(running), what="partitions that went over to the other")
    theirs = await joining
    await until(shared, what="two partitions for each")
    lost = await one.ack(running)
    assert 0 < len(lost) < len(running), "sticky: some partitions stay, with their jobs"
    lost_payloads = {job.payload for job in running if job.token in lost}
    theirs += await take(two, len(lost) - len(theirs))
    assert {job.payload for job in theirs} == lost_payloads
    assert {(job.attempt, job.redelivered) for job in theirs} == {(2, True)}
    assert await one.retry_later([Retry(job, 0.0) for job in running]) == {job.token for job in running}
    await two.ack(theirs)
    depth = await two.depth()
    assert (depth.unfinished, depth.partitions) == (0, 4)


async def by_kafka(server: KafkaServer, topic: str, *, partitions: int) -> dict[int, int]:
    """Lags as Kafka's own tools tell them: the end of each partition, less what its group has committed."""
    address, all_of_it = server.url.removeprefix("kafka://"), [TopicPartition(topic, n) for n in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id="g", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(all_of_it)
        ends = await consumer.end_offsets(all_of_it)
        return {one.partition: ends[one] - (await consumer.committed(one) or 0) for one in all_of_it}
    finally:
        await consumer.stop()


async def test_the_lag_of_each_partition_is_what_kafka_calls_so(open_kafka: Open, kafka_server: KafkaServer) -> None:
    """Its first job without an outcome counts with all behind it; the others' partitions are not held up by it."""
    topic = await new_topic(kafka_server, partitions=3)
    broker = open_kafka(kafka_server.url, topic=topic)
    await broker.put(jobs(30))
    lag = (await broker.depth()).lag or {}
    assert lag == await by_kafka(kafka_server, topic, partitions=3)
    assert sum(lag.values()) == 30

    taken = await take(broker, 30)
    of = Counter(broker._held[job.token].part.partition.partition for job in taken)
    held = broker._held[taken[0].token].part.partition.partition
    await broker.ack(taken[1:])
    depth = await broker.depth()
    assert depth.lag == {0: 0, 1: 0, 2: 0, held: of[held]} == await by_kafka(kafka_server, topic, partitions=3)
    assert (depth.waiting, depth.in_flight) == (0, 1), "the others are done, whatever Kafka's tools show"
    await broker.ack(taken[:1])
    assert (await broker.depth()).lag == {0: 0, 1: 0, 2: 0} == await by_kafka(kafka_server, topic, partitions=3)


async def test_queues_with_one_group_do_not_get_each_others_jobs(open_kafka: Open, kafka_server: KafkaServer) -> None:
    topics = [await new_topic(kafka_server, partitions=2) for _ in range(2)]
    brokers = [open_kafka(kafka_server.url, topic=topic, group="both") for topic in topics]
    for broker in brokers:
        await broker.put(jobs(5))
    for broker, taken in zip(brokers, await asyncio.gather(*(take(broker, 5) for broker in brokers)), strict=True):
        assert sorted(job.payload for job in taken) == [b"0", b"1", b"2", b"3", b"4"]
        assert await broker.ack(taken) == frozenset()


async def test_a_consumer_without_a_partition_says_so(open_kafka: Open, kafka_server: KafkaServer) -> None:
    topic = await new_topic(kafka_server)
    one, two = (open_kafka(kafka_server.url, topic=topic) for _ in range(2))
    await one.put(jobs(1))
    await one.take(limit=1, wait=0.1)

    said: list[NothingAssigned] = []

    async def idle() -> bool:
        found = await asyncio.gather(one.take(limit=1, wait=0.2), two.take(limit=1, wait=0.2), return_exceptions=True)
        said.extend(each for each in found if isinstance(each, NothingAssigned))
        return bool(said)

    await until(idle, what="one of them without a partition")
    assert "1 partitions" in str(said[0])


async def test_a_job_that_does_not_end_holds_up_its_partition_and_that_is_said(
    open_kafka: Open, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "WINDOW", 3)
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    await broker.put(jobs(5))
    slow, *others = await take(broker, 3)
    await broker.ack(others)
    with pytest.raises(NothingAssigned, match="has to end"):
        await broker.take(limit=9, wait=0.2)
    await broker.ack([slow])
    assert len(await take(broker, 2)) == 2


async def test_jobs_of_transactions_are_taken_when_they_are_committed_and_their_markers_do_not_count(
    open_kafka: Open, kafka_server: KafkaServer
) -> None:
    topic = await new_topic(kafka_server)
    broker = open_kafka(kafka_server.url, topic=topic)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.url.removeprefix("kafka://"), transactional_id=topic)
    await producer.start()
    try:
        for payload, good in ((b"1", True), (b"2", False), (b"3", True)):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, payload, headers=[("type", b"t")])
            await (producer.commit_transaction() if good else producer.abort_transaction())
    finally:
        await producer.stop()
    taken = await take(broker, 2)
    assert [job.payload for job in taken] == [b"1", b"3"]
    await broker.ack(taken)

    async def empty() -> bool:
        await broker.take(limit=1, wait=0.1)
        return (await broker.depth()).unfinished == 0

    await until(empty, what="a queue without jobs")


async def test_a_move_that_failed_half_way_is_not_put_twice(
    open_kafka: Open, kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    await broker.put(jobs(1))
    [job] = await take(broker, 1)
    settled = broker._settling.ack

    async def broken(_: object) -> frozenset[str]:
        raise TimeoutError

    monkeypatch.setattr(broker._settling, "ack", broken)
    with pytest.raises(TimeoutError):
        await broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
    monkeypatch.setattr(broker._settling, "ack", settled)
    assert await broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)]) == frozenset()
    depth = await broker.depth()
    assert (depth.dead_letters, depth.unfinished) == (1, 0)


async def test_what_a_worker_let_go_comes_again_as_another_attempt(open_kafka: Open, kafka_server: KafkaServer) -> None:
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    await broker.put(jobs(1))
    [job] = await take(broker, 1)
    broker.let_go([job])
    assert await broker.ack([job]) == {job.token}
    [again] = await take(broker, 1)
    assert (again.payload, again.attempt) == (job.payload, 2)


async def test_a_checkpoint_is_there_for_the_next_attempt(open_kafka: Open, kafka_server: KafkaServer) -> None:
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    await broker.put(jobs(1))
    [job] = await take(broker, 1)
    assert await broker.checkpoint(job, b'{"at": 7}')
    await broker.retry_later([Retry(job, 0.0)])
    [again] = await take(broker, 1)
    assert again.checkpoint == b'{"at": 7}'
    assert not await broker.checkpoint(replace(again, token="another"), b"1")


async def test_a_group_that_nobody_has_used_has_all_before_it(open_kafka: Open, kafka_server: KafkaServer) -> None:
    topic = await new_topic(kafka_server)
    await open_kafka(kafka_server.url, topic=topic).put(jobs(2))
    other = open_kafka(kafka_server.url, topic=topic, group="other")
    assert (await other.depth()).waiting == 2
    assert len(await take(other, 2)) == 2


async def test_the_largest_job_can_be_tried_again_and_buried(open_kafka: Open, kafka_server: KafkaServer) -> None:
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    await broker.put([NewJob("t", b"1" * 983_000)])
    [job] = await take(broker, 1)
    assert await broker.checkpoint(job, b'"' + b"c" * 65_000 + b'"')
    await broker.retry_later([Retry(job, 0.0)])
    [again] = await take(broker, 1)
    letter = DeadLetter(again, DeathReason.MAX_ATTEMPTS, error="e" * 9_000, traceback="t" * 99_000)
    assert await broker.dead_letter([letter]) == frozenset()
    [dead] = await broker.dead_letters(limit=9)
    assert (dead.payload, dead.attempts) == (job.payload, 2)


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (NewJob("t", b"1", ordering_key="k"), ConfigurationError),
        (NewJob("t", b"1", delay=1.0), ConfigurationError),
        (NewJob("t", b"1" * 1_100_000), PayloadInvalid),
    ],
    ids=["key", "delay", "large"],
)
async def test_what_kafka_cannot_do_is_refused_before_anything_is_put(
    open_kafka: Open, kafka_server: KafkaServer, job: NewJob, error: type[Exception]
) -> None:
    broker = open_kafka(kafka_server.url, topic=await new_topic(kafka_server))
    with pytest.raises(error):
        await broker.put([NewJob("t", b"1"), job])
    assert (await broker.depth()).waiting == 0
