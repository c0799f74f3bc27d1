"""A program without the SDK, by nats-py and docs/reference/worker-contract.md, and the SDK at the other end."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.nats import NatsServer
from workerpool import broker as brokers
from workerpool.broker import Broker, DeadJobs, DeadLetter, DeathReason, NewJob, Taken, TraceContext

pytestmark = [pytest.mark.component, pytest.mark.nats]

TRACE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")


class Plain:
    """What a worker in another language would be made of."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream

    async def make(self) -> None:
        """The stream, as the page has it."""
        names = [f"{self._stream}.{name}" for name in ("jobs", "again", "later.*", "dead", "settled")]
        configuration = {
            "name": self._stream,
            "subjects": names,
            "retention": "workqueue",
            "discard": "old",
            "storage": "file",
            "duplicate_window": 600 * 10**9,
            "allow_msg_schedules": True,
            "allow_msg_ttl": True,
        }
        answer = await self._client.request(
            f"$JS.API.STREAM.CREATE.{self._stream}", json.dumps(configuration).encode(), timeout=10
        )
        assert "error" not in json.loads(answer.data), answer.data

    async def put(self, subject: str, payload: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """What JetStream says to it."""
        answer = await self._client.request(f"{self._stream}.{subject}", payload, timeout=10, headers=headers)
        said: dict[str, Any] = json.loads(answer.data)
        assert "error" not in said, said
        return said

    async def take(self) -> Msg:
        subscription = await self._client.jetstream().pull_subscribe_bind(consumer="g", stream=self._stream)
        [message] = await subscription.fetch(1, timeout=60)
        return message

    async def done(self, message: Msg) -> None:
        """JetStream has heard of it."""
        await message.ack_sync(timeout=30)

    async def last(self, subject: str) -> Any:
        return await self._client.jetstream().get_last_msg(self._stream, f"{self._stream}.{subject}")


@pytest_asyncio.fixture
async def plain(nats_server: NatsServer, nats_stream: str) -> AsyncIterator[Plain]:
    client = await nats.connect(nats_server.url)
    yield Plain(client, nats_stream)
    await client.close()


@pytest_asyncio.fixture
async def sdk(nats_server: NatsServer, nats_stream: str) -> AsyncIterator[Broker]:
    broker = brokers.connect(nats_server.url, stream=nats_stream, group="g")
    yield broker
    await broker.close()


async def take_one(broker: Broker) -> Taken:
    """Pulls end by themselves, with nothing: one asks again."""
    async with asyncio.timeout(60):
        while True:
            if found := await broker.take(limit=1, wait=5):
                return found[0]


def successor(message: Msg, **more: str) -> dict[str, str]:
    """Headers of the one successor that a message may have."""
    kept = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-")}
    sequence = str(message.metadata.sequence.stream)
    ids = {"id": kept.get("id", sequence), "origin": kept.get("origin", sequence)}
    return kept | ids | {"Nats-Msg-Id": f">{sequence}", "by": "plain"} | more


async def test_what_any_client_publishes_is_a_job(plain: Plain, sdk: Broker) -> None:
    """Also into a stream that it has made by hand."""
    await plain.make()
    await plain.put("jobs", b'{"width": 200}', {"type": "resize"})
    more = {"type": "resize", "id": "job-7", "Nats-Msg-Id": "job:job-7", "tenant": "a%20b", "attempt": "2"}
    more |= TRACE._asdict()
    assert [bool((await plain.put("jobs", b"2", more)).get("duplicate")) for _ in range(2)] == [False, True]
    jobs = [await take_one(sdk), await take_one(sdk)]
    assert [(job.type, job.payload, job.attempt) for job in jobs] == [
        ("resize", b'{"width": 200}', 1),
        ("resize", b"2", 3),
    ]
    assert (jobs[1].job_id, jobs[1].tenant, jobs[1].trace) == ("job-7", "a b", TRACE)
    assert await sdk.ack(jobs) == frozenset()


async def test_what_any_client_delays_comes_when_it_is_due(plain: Plain, sdk: Broker, nats_stream: str) -> None:
    await plain.make()
    at = datetime.now(UTC) + timedelta(seconds=5)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    when = f"@at {at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
    target = f"{nats_stream}.jobs"
    headers = {"type": "resize", "Nats-Schedule": when, "Nats-Schedule-Target": target}
    await plain.put("later.any", b"{}", headers)
    assert (await sdk.depth()).delayed == 1
    assert (await take_one(sdk)).type == "resize"
    assert datetime.now(UTC) >= at


async def test_what_the_sdk_puts_is_taken_and_done_by_any_client(plain: Plain, sdk: Broker) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="a", tenant="a b", trace=TRACE)])
    message = await plain.take()
    headers = message.headers or {}
    assert (message.data, headers["type"], headers["id"], headers["tenant"]) == (b"{}", "resize", "a", "a%20b")
    assert (headers["traceparent"], headers["tracestate"]) == TRACE
    await message.in_progress()
    await plain.done(message)
    depth = await sdk.depth()
    assert (depth.waiting, depth.in_flight) == (0, 0)


async def test_a_retry_of_any_client_is_the_next_attempt(plain: Plain, sdk: Broker, nats_stream: str) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="a")])
    message = await plain.take()
    when = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    schedule = {"Nats-Schedule": f"@at {when}", "Nats-Schedule-Target": f"{nats_stream}.jobs"}
    said = await plain.put(
        f"later.{message.metadata.sequence.stream}", message.data, successor(message, attempt="1") | schedule
    )
    assert not said.get("duplicate")
    await plain.done(message)
    job = await take_one(sdk)
    assert (job.job_id, job.attempt, job.redelivered) == ("a", 2, False)


async def test_what_any_client_hands_back_has_made_no_attempt(plain: Plain, sdk: Broker) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="a")])
    message = await plain.take()
    await plain.put("jobs", message.data, successor(message, attempt="0", begun="1"))
    await plain.done(message)
    job = await take_one(sdk)
    assert (job.job_id, job.attempt, job.begun) == ("a", 1, True)


async def test_a_message_whose_worker_died_is_taken_over_once(
    plain: Plain, nats_server: NatsServer, nats_stream: str, sdk: Broker
) -> None:
    """By whoever is handed it next; who comes late with the same successor is told so."""
    # What lies at it for longer than that, while this machine stands still, is handed out once more.
    dying = brokers.connect(nats_server.url, stream=nats_stream, group="g", lease_seconds=4.0)
    await dying.put([NewJob("resize", b"{}", job_id="a")])
    lost = await take_one(dying)
    await dying.close()
    message = await plain.take()
    assert message.metadata.num_delivered == 2
    headers = successor(message, attempt="1", redelivered="1")
    assert not (await plain.put("again", message.data, headers)).get("duplicate")
    await plain.done(message)
    assert await sdk.ack([lost]) == {lost.token}
    job = await take_one(sdk)
    assert (job.job_id, job.attempt, job.redelivered) == ("a", 2, True)


async def test_the_dead_letters_of_one_are_the_others(plain: Plain, sdk: Broker) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="ours", tenant="acme")])
    letter = DeadLetter(
        await take_one(sdk), DeathReason.MAX_ATTEMPTS, error="e", traceback="t", version="v", worker="w"
    )
    assert await sdk.dead_letter([letter]) == frozenset()
    found = await plain.last("dead")
    told = json.loads(found.headers["dead"])
    assert (found.data, found.headers["type"], found.headers["id"], found.headers["tenant"]) == (
        b"{}",
        "resize",
        "ours",
        "acme",
    )
    ends = {"reason": "max_attempts", "error": "e", "traceback": "t", "attempts": 1, "version": "v", "worker": "w"}
    assert ends.items() <= told.items()
    await sdk.put([NewJob("resize", b"[2]", job_id="theirs")])
    message = await plain.take()
    await plain.put("dead", message.data, successor(message, dead=json.dumps(told | {"reason": "rejected"})))
    await plain.done(message)
    dead = (await sdk.dead_letters(limit=9))[-1]
    assert (dead.job_id, dead.reason, dead.error, dead.payload) == ("theirs", "rejected", "e", b"[2]")
    assert await sdk.redrive(DeadJobs(job_id="theirs")) == 1
    assert (await take_one(sdk)).attempt == 1
