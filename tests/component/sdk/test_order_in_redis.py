"""The order in Redis: its scripts make the decisions of the pure model, and leave nothing behind."""

import asyncio
import json
import random
from collections import deque

import pytest

from tests.component.sdk.conformance import Open, another, counts, take
from tests.component.sdk.test_order import LOW, NORMAL, new, nothing, one, put_in_order
from tests.support.redis import RedisServer, delete_stream
from workerpool.broker import DeadLetter, DeathReason, Priority, Retry, Taken
from workerpool.broker._fair import FairQueue
from workerpool.broker._memory_store import Entry
from workerpool.broker._redis import RedisBroker

pytestmark = [pytest.mark.component, pytest.mark.redis, pytest.mark.needs("ordering", "priority", "fair")]

__all__ = ["another"]  # a fixture


@pytest.fixture
def redis_broker(another: Open) -> RedisBroker:
    one = another(lease=60)
    if not isinstance(one, RedisBroker):
        pytest.skip("of Redis only")
    return one


class _Model:
    """The pure order, with what lies between it and the consumers: a stream that is fed one job ahead."""

    def __init__(self) -> None:
        self.waiting: FairQueue[Entry] = FairQueue()
        self.stream: deque[Entry] = deque()

    def put(self, entry: Entry) -> None:
        self.waiting.add(entry)
        self._feed()

    def take(self, without: frozenset[str]) -> list[Entry]:
        if self.stream and self.stream[0].type in without:
            self.waiting.add_first(self.stream.popleft())
        self._feed(without)
        taken = [self.stream.popleft()] if self.stream else []
        self._feed(without)
        return taken

    def retry(self, entry: Entry) -> None:
        self._feed()
        self.put(entry)

    def back(self, entry: Entry) -> None:
        self.waiting.add_first(entry)
        self._feed()

    def end(self, entry: Entry) -> None:
        self.waiting.ended(entry)
        self._feed()

    def _feed(self, without: frozenset[str] = frozenset()) -> None:
        while not self.stream and (entry := self.waiting.pop(without=without)) is not None:
            self.stream.append(entry)


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_is_that_of_the_model(redis_broker: RedisBroker, seed: int) -> None:
    chance, model, serial = random.Random(seed), _Model(), 0
    flying: list[tuple[Taken, Entry]] = []
    await put_in_order(redis_broker)
    for _ in range(500):
        without = frozenset(chance.choice(["", "", "t", "u", "tu"]))
        act = chance.choice(["put", "put", "take", "take", "ack", "back", "retry", "dead"])
        if act == "put":
            wishes = (chance.choice(["", "a", "b"]), chance.choice(list(Priority)), chance.choice(["", "x", "y"]))
            tenant, priority, key = wishes if serial else ("a", NORMAL, "")
            type_ = chance.choice("tu")
            await redis_broker.put([new(serial, tenant=tenant, priority=priority, key=key, type_=type_)])
            model.put(Entry("", type_, b"", 0.0, serial, tenant, priority, key))
            serial += 1
        elif act == "take":
            expected = model.take(without)
            taken = await redis_broker.take(limit=1, wait=0.0, without=without)
            assert [int(job.payload) for job in taken] == [entry.serial for entry in expected]
            flying += zip(taken, expected, strict=True)
        elif flying:
            job, entry = flying.pop(chance.randrange(len(flying)))
            if act == "ack":
                await redis_broker.ack([job])
                model.end(entry)
            elif act == "dead":
                await redis_broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
                model.end(entry)
            elif act == "back":
                await redis_broker.hand_back([job])
                model.back(entry)
            else:
                await redis_broker.retry_later([Retry(job, 0.0)])
                await asyncio.sleep(0.002)
                await redis_broker.maintain()
                model.retry(entry)
        assert await counts(redis_broker) == (len(model.stream) + len(model.waiting), len(flying), 0)


async def test_nothing_is_left_behind(redis_broker: RedisBroker, redis_server: RedisServer, redis_stream: str) -> None:
    await redis_broker.put([new(n, tenant=f"t{n}", key=f"k{n % 3}", priority=LOW) for n in range(30)])
    for _ in range(30):
        await one(redis_broker)
    names = {key.decode().partition("}:")[2] for key in redis_server.client().keys(f"{{{redis_stream}}}:*")}
    assert names == {"stats", "leases:g"}


async def test_a_delayed_job_of_a_stranger_may_have_any_serial(
    redis_broker: RedisBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    await redis_broker.put([new("first", tenant="a")])
    member = json.dumps({"type": "t", "payload": "second", "serial": 5})
    redis_server.client().zadd(f"{{{redis_stream}}}:delayed", {member: 1})
    assert {await one(redis_broker), await one(redis_broker)} == {"first", "second"}


async def test_a_key_whose_job_a_stranger_deleted_is_let_go(
    redis_broker: RedisBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    await redis_broker.put([new(n, key="k") for n in range(2)])
    await take(redis_broker, 1)
    client = redis_server.client()
    await delete_stream(client, redis_stream)
    client.hdel(f"{{{redis_stream}}}:stats", "kept")
    assert await one(redis_broker) == "1"


async def test_a_key_whose_job_a_stranger_acknowledged_is_let_go(
    redis_broker: RedisBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """As a worker does that knows no ordering keys; one whose job is in flight or not yet taken is kept."""
    await redis_broker.put([new(n, key=key) for key in ("k", "l") for n in range(2)])
    first, kept = await take(redis_broker, 2)
    client = redis_server.client()
    client.xack(redis_stream, "g", first.token)
    client.hdel(f"{{{redis_stream}}}:stats", "kept")
    assert [(job.ordering_key, job.payload) for job in await take(redis_broker, 1)] == [("k", b"1")]
    client.hdel(f"{{{redis_stream}}}:stats", "kept")
    assert await nothing(redis_broker)
    assert await redis_broker.ack([kept]) == frozenset()
    client.hdel(f"{{{redis_stream}}}:stats", "kept")
    await redis_broker.maintain()
    assert await counts(redis_broker) == (1, 1, 0), "fed to the stream, where it waits to be taken"
    assert await one(redis_broker) == "1"
