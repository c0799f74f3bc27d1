"""A stream that is deleted and made anew while jobs of the former one are in flight: its numbers begin at 1 again."""

from contextlib import suppress
from typing import Any

import nats
import pytest

from tests.component.sdk.test_nats_moves import Open, another, take, unfinished
from tests.support.nats import NatsServer
from tests.support.waiting import until
from workerpool.broker import Broker, DeadLetter, DeathReason, NewJob, Retry, Taken
from workerpool.broker._nats.answers import STREAM_NOT_FOUND, ApiError
from workerpool.errors import BrokerUnavailable, QueueNotFound

pytestmark = [pytest.mark.component, pytest.mark.nats]

__all__ = ["another"]  # a fixture


@pytest.mark.parametrize("knows_by", ["making it", "what it takes", "looking"])
async def test_jobs_of_a_deleted_stream_do_not_end_those_that_have_their_numbers_in_the_new_one(
    another: Open, nats_server: NatsServer, nats_stream: str, knows_by: str
) -> None:
    broker, other = another(lease=60), another(lease=60)
    await broker.put([NewJob(type="t", payload=b"old")] * 6)
    old = await take(broker, 6)
    assert await broker.checkpoint(old[0], b"state")
    client = await nats.connect(nats_server.url)
    try:
        await client.jetstream().delete_stream(nats_stream)
    finally:
        await client.close()
    await (broker if knows_by == "making it" else other).put([NewJob(type="t", payload=b"new")] * 6)
    new = await _take_although(broker, 1) if knows_by == "what it takes" else []
    new += await _take_although(other, 6 - len(new))
    if knows_by == "looking":
        await broker.maintain()
    assert {(job.payload, job.checkpoint) for job in new} == {(b"new", b"")}
    gone = [job.token for job in old]
    assert await broker.extend(old) == {*gone}
    assert not await broker.checkpoint(old[0], b"state")
    assert await broker.ack(old[:2]) == {*gone[:2]}
    assert await broker.retry_later([Retry(job, 0.0) for job in old[2:4]]) == {*gone[2:4]}
    assert await broker.hand_back(old[4:5]) == {gone[4]}
    assert await broker.dead_letter([DeadLetter(old[5], DeathReason.REJECTED)]) == {gone[5]}
    depth = await other.depth()
    assert (depth.waiting, depth.in_flight, depth.dead_letters) == (0, 6, 0)
    assert not await other.retry_later([Retry(new[-1], 0.0)])
    assert await unfinished(other) == 6
    again = await take(other)
    assert (again[0].payload, again[0].attempt, again[0].checkpoint) == (b"new", 2, b"")


async def _take_although(broker: Broker, limit: int) -> list[Taken]:
    """What it reads by may be gone for a moment."""
    found: list[Taken] = []

    async def enough() -> bool:
        with suppress(BrokerUnavailable):
            found.extend(await broker.take(limit=limit - len(found), wait=0.1))
        return len(found) == limit

    await until(enough, what=f"{limit} jobs")
    return found


async def test_a_checkpoint_of_a_deleted_stream_is_of_no_job_of_the_new_one(
    another: Open, nats_server: NatsServer, nats_stream: str
) -> None:
    broker, dies = another(lease=60), another(lease=60)
    await broker.put([NewJob(type="t", payload=b"old")])
    [old] = await take(broker)
    assert await broker.checkpoint(old, b"state")
    client = await nats.connect(nats_server.url)
    try:
        await client.jetstream().delete_stream(nats_stream)
        await broker.put([NewJob(type="t", payload=b"new")])
        [new] = await _take_although(dies, 1)
        # As the server does with one whose lease is over.
        await client.publish(new.token, b"-NAK")
        [again] = await _take_although(broker, 1)
    finally:
        await client.close()
    assert (again.payload, again.attempt, again.checkpoint) == (b"new", 2, b"")


async def test_who_comes_too_late_to_make_a_stream_removes_no_checkpoint(
    another: Open, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told that there is none, and stood still while others made it and worked."""
    broker, late = another(lease=60), another(lease=60)
    await broker.put([NewJob(type="t", payload=b"1")])
    [job] = await take(broker)
    assert await broker.checkpoint(job, b"state")
    ask, told = late._link.api, list[str]()

    async def api(question: str, body: Any = None) -> Any:
        if question == f"STREAM.INFO.{late.stream}" and not told:
            told.append(question)
            raise ApiError("stream not found", code=STREAM_NOT_FOUND)
        return await ask(question, body)

    monkeypatch.setattr(late._link, "api", api)
    assert await late.take(limit=1, wait=0) == []
    assert told
    client = await nats.connect(nats_server.url)
    try:
        await client.publish(job.token, b"-NAK")
        [again] = await _take_although(late, 1)
    finally:
        await client.close()
    assert again.checkpoint == b"state"


async def test_a_job_that_is_done_can_be_told_although_no_job_could_be_taken(
    another: Open, nats_server: NatsServer, nats_stream: str
) -> None:
    """After a connection that broke: somebody has changed the bucket, which whoever takes jobs refuses."""
    broker, other = another(lease=60), another(lease=60)
    await broker.put([NewJob(type="t", payload=b"1")])
    jobs = await take(broker)
    client = await nats.connect(nats_server.url)
    try:
        name = f"KV_{nats_stream}-workerpool"
        found = (await client.jetstream().stream_info(name)).config
        await client.jetstream().update_stream(found, max_msgs_per_subject=5)
    finally:
        await client.close()
    broker._topology.doubt()
    broker._topology._heard_for = -1
    with pytest.raises(QueueNotFound):
        await broker.take(limit=1, wait=0)
    assert not await broker.ack(jobs)
    await until(lambda: _nothing(other), what="the job acknowledged")


async def _nothing(broker: Broker) -> bool:
    return await unfinished(broker) == 0
