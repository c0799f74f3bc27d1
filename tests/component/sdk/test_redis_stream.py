"""What is particular to Redis Streams: entries from strangers, lag, consumers that died, lost answers."""

import asyncio
import json
import random

import pytest

from tests.component.sdk.conftest import OpenBroker
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import DeadJobs, DeadLetter, DeathReason, NewJob, Taken
from workerpool.broker._redis import RedisBroker
from workerpool.errors import BadAnswer, BrokerUnavailable, QueueNotFound

pytestmark = [pytest.mark.component, pytest.mark.redis]


def jobs(count: int) -> list[NewJob]:
    return [NewJob(type="t", payload=str(number).encode()) for number in range(count)]


async def test_jobs_put_before_any_worker_came_are_not_missed(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    redis_server.client().xadd(redis_stream, {"type": "t", "payload": "1"})
    broker = open_broker()
    assert (await broker.depth()).waiting == 1
    assert len(await broker.take(limit=9, wait=1)) == 1


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"payload": "1"}, "no field 'type'"),
        ({"type": "t"}, "no field 'payload'"),
        ({"junk": "1"}, "no field 'type'"),
        ({"type": "t", "payload": "1", "attempt": "many"}, "attempt"),
        ({"type": "t", "payload": "1", "attempt": "9" * 400}, "attempt"),
        ({"type": "t", "payload": "1", "due": "yesterday"}, "due"),
        ({b"\xff\xfe": b"\xff", "type": b"\xff"}, "no field 'payload'"),
    ],
)
async def test_an_entry_that_is_no_job_says_so(
    open_broker: OpenBroker,
    redis_server: RedisServer,
    redis_stream: str,
    fields: dict[bytes | str, bytes | str],
    problem: str,
) -> None:
    redis_server.client().xadd(redis_stream, fields)
    broker = open_broker()
    [job] = await broker.take(limit=1, wait=1)
    assert problem in job.malformed
    assert job.attempt == 1


async def test_a_delayed_entry_that_is_no_job_goes_to_the_dead_letters(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    for member in ("not json", "[1]", "{}", '{"type": {"a": 1}}', "7"):
        client.zadd(f"{{{redis_stream}}}:delayed", {member: 1})
    client.zadd(f"{{{redis_stream}}}:delayed", {json.dumps({"type": "good", "payload": "1"}): 1})
    broker = open_broker()
    await broker.maintain()
    [job] = await broker.take(limit=9, wait=1)
    assert job.type == "good"
    letters = [fields for _, fields in client.xrange(f"{{{redis_stream}}}:dead")]
    assert {fields[b"dead.reason"] for fields in letters} == {b"malformed"}
    assert {fields[b"member"] for fields in letters} == {b"not json", b"[1]", b"{}", b'{"type": {"a": 1}}', b"7"}


@pytest.mark.parametrize("wishes", [{}, {"tenant": "a"}], ids=["plain", "ordered"])
async def test_an_entry_with_thousands_of_fields_stays_the_job_that_it_is(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str, wishes: dict[str, str]
) -> None:
    """Some of the strange ones are lost when it moves, for a script's calls take no more."""
    fields = {f"x{number}": "1" for number in range(2500)} | wishes | {"id": "i", "type": "t", "payload": "1"}
    redis_server.client().xadd(redis_stream, fields)
    broker = open_broker()
    [job] = await broker.take(limit=1, wait=1)
    await broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
    [letter] = await broker.dead_letters(limit=1)
    assert (letter.job_id, letter.type, letter.payload) == ("i", "t", b"1")
    assert await broker.redrive(DeadJobs()) == 1
    for _ in range(3):
        [job] = await broker.take(limit=1, wait=1)
        assert (job.job_id, job.type, job.payload, job.tenant) == ("i", "t", b"1", wishes.get("tenant", ""))
        await broker.hand_back([job])


async def test_a_dead_letter_keeps_what_was_on_the_stream(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    entry = client.xadd(redis_stream, {"type": "t", "payload": "{}", "extra": b"\xff"})
    broker = open_broker()
    [job] = await broker.take(limit=1, wait=1)
    letter = brokers.DeadLetter(
        job, brokers.DeathReason.REJECTED, error="E: no", traceback="tb", version="v1", worker="w"
    )
    await broker.dead_letter([letter])
    [(_, fields)] = client.xrange(f"{{{redis_stream}}}:dead")
    assert fields.pop(b"dead.at").isdigit()
    assert fields == {
        b"type": b"t",
        b"payload": b"{}",
        b"extra": b"\xff",
        b"dead.reason": b"rejected",
        b"dead.attempts": b"1",
        b"dead.error": b"E: no",
        b"dead.traceback": b"tb",
        b"dead.version": b"v1",
        b"dead.worker": b"w",
        b"dead.entry": entry,
    }


async def test_depth_is_right_although_entries_were_deleted(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """XDEL makes lag nil: the entries are counted then."""
    client = redis_server.client()
    broker = open_broker()
    await broker.put(jobs(10))
    taken = await broker.take(limit=2, wait=1)
    entries = [entry for entry, _ in client.xrange(redis_stream)]
    client.xdel(redis_stream, entries[5])
    [group] = client.xinfo_groups(redis_stream)
    assert group["lag"] is None, "this Redis knows lag after an XDEL: the test proves nothing"
    depth = await broker.depth()
    assert (depth.waiting, depth.in_flight) == (7, 2)
    await broker.ack(taken)


async def test_an_unknown_lag_of_very_many_entries_is_no_sample(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    broker = open_broker()
    await broker.put(jobs(10_010))
    await broker.take(limit=1, wait=1)
    entries = [entry for entry, _ in client.xrange(redis_stream, count=5)]
    client.xdel(redis_stream, entries[3])
    with pytest.raises(BadAnswer, match="lag"):
        await broker.depth()


async def test_entries_trimmed_by_others_are_not_counted_as_waiting(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """Lag goes on counting what a foreign XTRIM took away unread: the pool would never come to rest."""
    broker = open_broker()
    await broker.put(jobs(10))
    taken = await broker.take(limit=1, wait=1)
    await broker.ack(taken)
    redis_server.client().xtrim(redis_stream, maxlen=0, approximate=False)
    depth = await broker.depth()
    assert (depth.waiting, depth.in_flight, depth.oldest_age_seconds) == (0, 0, 0.0)


async def test_depth_is_exact_through_a_random_life(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """Waiting and in flight equal a model's, after every step of a few thousand random ones, trimming included."""
    chance = random.Random(7)
    one, two = open_broker(lease=600), open_broker(lease=600)
    client = redis_server.client()
    waiting, arrived, dead = 0, 0, 0
    held: list[tuple[RedisBroker, Taken]] = []
    for _ in range(1500):
        broker = chance.choice((one, two))
        step = chance.randrange(8)
        if step <= 1:
            count = chance.randrange(1, 30)
            await broker.put(jobs(count))
            waiting, arrived = waiting + count, arrived + count
        elif step <= 3:
            found = await broker.take(limit=chance.randrange(1, 30), wait=0)
            waiting -= len(found)
            held += [(broker, job) for job in found]
        elif step == 4 and held:
            chance.shuffle(held)
            gone, held = held[: len(held) // 2], held[len(held) // 2 :]
            for owner in (one, two):
                assert await owner.ack([job for who, job in gone if who is owner]) == frozenset()
        elif step == 5 and held:
            owner, job = held.pop()
            await owner.hand_back([job])
            waiting += 1
        elif step == 6 and held:
            owner, job = held.pop()
            await owner.dead_letter([brokers.DeadLetter(job, brokers.DeathReason.REJECTED)])
            dead += 1
        else:
            client.hdel(f"{{{redis_stream}}}:stats", "kept")  # trim each time
            await broker.maintain()
        depth = await one.depth()
        assert (depth.waiting, depth.in_flight, depth.arrivals_total, depth.dead_letters) == (
            waiting,
            len(held),
            arrived,
            dead,
        )


async def test_a_consumer_that_leaves_is_forgotten_only_with_empty_hands(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """DELCONSUMER drops the pending entries with the consumer: each would be a lost job."""
    client = redis_server.client()
    clean, busy = open_broker(), open_broker()
    await clean.put(jobs(2))
    await clean.ack(await clean.take(limit=1, wait=1))
    assert len(await busy.take(limit=1, wait=1)) == 1
    await clean.close()
    await busy.close()
    [left] = client.xinfo_consumers(redis_stream, "g")
    assert left["pending"] == 1
    assert (await open_broker().depth()).in_flight == 1


async def test_dead_consumers_with_nothing_in_hand_are_swept(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workerpool.broker._redis.broker.FORGET_SECONDS", 0.05)
    client = redis_server.client()
    broker = open_broker(lease=0.01)
    await broker.put(jobs(2))
    client.xgroup_createconsumer(redis_stream, "g", "died-idle") if await broker.take(limit=1, wait=0) else None
    client.xreadgroup("g", "died-busy", {redis_stream: ">"}, count=1)

    async def swept() -> bool:
        client.hdel(f"{{{redis_stream}}}:stats", "swept:g")
        await broker.maintain()
        return b"died-idle" not in {info["name"] for info in client.xinfo_consumers(redis_stream, "g")}

    await until(swept, what="the idle consumer gone")
    assert b"died-busy" in {info["name"] for info in client.xinfo_consumers(redis_stream, "g")}


async def test_what_was_given_in_an_answer_that_never_came_is_found_again(open_broker: OpenBroker) -> None:
    """The connection dies right after Redis gave out a job: it is not left to its lease, and no attempt is burnt."""
    broker = open_broker()
    await broker.take(limit=1, wait=0)
    real = broker._reads.call

    async def lose_the_answer(*command: object, wait: float = 0.0, cut_off: int | None = None) -> object:
        await real(*command, wait=wait, cut_off=cut_off)
        await broker._reads.close()
        raise BrokerUnavailable("connection lost")

    await broker.put(jobs(3))
    broker._reads.call = lose_the_answer  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable):
        await broker.take(limit=2, wait=0.1)
    broker._reads.call = real  # type: ignore[method-assign]
    found = await broker.take(limit=2, wait=1)
    assert [(job.payload, job.attempt) for job in found] == [(b"0", 1), (b"1", 1)]
    assert [job.payload for job in await broker.take(limit=2, wait=1)] == [b"2"]


async def test_closing_hands_back_what_a_lost_answer_left_behind(open_broker: OpenBroker) -> None:
    broker = open_broker()
    await broker.take(limit=1, wait=0)
    real = broker._reads.call

    async def lose_the_answer(*command: object, wait: float = 0.0, cut_off: int | None = None) -> object:
        await real(*command, wait=wait, cut_off=cut_off)
        raise BrokerUnavailable("connection lost")

    await broker.put(jobs(1))
    broker._reads.call = lose_the_answer  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable):
        await broker.take(limit=1, wait=0.1)
    await broker.close()
    other = open_broker()
    [job] = await other.take(limit=1, wait=1)
    assert (job.attempt, job.redelivered) == (1, False)
    await other.close()


async def test_a_job_that_we_still_hold_is_not_given_to_us_again(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """A worker whose loop hung for longer than the lease finds its own jobs expired: they are still running here."""
    broker = open_broker(lease=0.1)
    await broker.put(jobs(1))
    [job] = await broker.take(limit=1, wait=1)
    for _ in range(6):
        assert await broker.take(limit=1, wait=0.1) == []
    [pending] = redis_server.client().xpending_range(redis_stream, "g", "-", "+", 9)
    assert pending["times_delivered"] == 1, "no attempt is lost by it"
    assert await broker.ack([job]) == frozenset()


async def test_a_job_that_we_let_go_of_comes_back_to_us(open_broker: OpenBroker) -> None:
    """Else it would be ours for ever: each lease that expires takes an attempt from it, and nobody runs it."""
    broker = open_broker(lease=0.1)
    await broker.put(jobs(1))
    [job] = await broker.take(limit=1, wait=1)
    broker.let_go([job])
    again: list[Taken] = []

    async def back() -> bool:
        again.extend(await broker.take(limit=1, wait=0.05))
        return bool(again)

    await until(back, what="the job again")
    assert [(one.token, one.attempt) for one in again] == [(job.token, 2)]
    broker.let_go([job])  # the handler of the first delivery has only now heeded its cancellation
    for _ in range(6):
        assert await broker.take(limit=1, wait=0.1) == [], "the second delivery is running here"
    assert await broker.ack(again) == frozenset()


async def test_reclaiming_reaches_the_last_of_very_many_pending_entries(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """The expired entries lie behind thousands that are alive, and one free slot looks for them."""
    alive, dead = open_broker(), open_broker()
    await alive.put(jobs(3001))
    mine = await alive.take(limit=3000, wait=1)
    [orphan] = await dead.take(limit=1, wait=1)
    seeker = open_broker(lease=0.3)
    client = redis_server.client()

    async def found() -> bool:
        client.delete(f"{{{redis_stream}}}:leases:g")  # only the short lease counts here
        await alive.extend(mine)
        client.delete(f"{{{redis_stream}}}:leases:g")
        return [job.payload for job in await seeker.take(limit=1, wait=0.05)] == [orphan.payload]

    await until(found, what="the orphan behind 3000 live entries")
    await alive.ack(mine)


async def test_a_deleted_stream_is_made_anew(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    broker = open_broker()
    await broker.take(limit=1, wait=0)
    waiting = asyncio.create_task(broker.take(limit=1, wait=30))
    await asyncio.sleep(0.05)
    redis_server.client().delete(redis_stream)
    assert await waiting == []
    await broker.put(jobs(1))
    [job] = await broker.take(limit=1, wait=1)
    redis_server.client().delete(redis_stream)
    assert await broker.ack([job]) == frozenset({job.token})
    assert await broker.extend([job]) == frozenset({job.token})


async def test_a_key_of_another_type_is_no_queue(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    redis_server.client().set(redis_stream, "hello")
    broker = open_broker()
    with pytest.raises(QueueNotFound):
        await broker.depth()
    with pytest.raises(QueueNotFound):
        await broker.take(limit=1, wait=0)
    with pytest.raises(QueueNotFound):
        await broker.put(jobs(1))


async def test_all_keys_are_in_one_hash_slot(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    for stream in (redis_stream, f"{{{redis_stream}}}:tagged"):
        broker = open_broker(stream=stream)
        await broker.put([NewJob(type="t", payload=b"1", job_id="a"), NewJob(type="t", payload=b"1", delay=60)])
        await broker.maintain()
        [job] = await broker.take(limit=9, wait=1)
        await broker.dead_letter([brokers.DeadLetter(job, brokers.DeathReason.REJECTED)])
        await broker.close()
    keys = {key for key in client.scan_iter() if redis_stream.encode() in key}
    assert len(keys) == 12
    # Redis without cluster mode does not tell slots: the rule is that the hash tag, or the whole key, is the same.
    assert {key.split(b"{")[-1].split(b"}")[0] for key in keys} == {redis_stream.encode()}


async def test_large_payloads_go_in_several_calls(open_broker: OpenBroker) -> None:
    broker = open_broker()
    payload = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
    assert await broker.put([NewJob(type="t", payload=payload)] * 9) == 9
    taken = await broker.take(limit=9, wait=1)
    assert [job.payload for job in taken] == [payload] * 9
    await broker.ack(taken)
