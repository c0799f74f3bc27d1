"""A program without the SDK, which goes by docs/reference/worker-contract.md, and the SDK at the other end."""

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.support.plain_amqp import PlainAmqp
from tests.support.rabbitmq import RabbitServer, wait_for_dead_letters
from workerpool import broker as brokers
from workerpool.broker import Broker, DeadJobs, DeadLetter, DeathReason, NewJob, Retry, Taken, TraceContext

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

PAGE: Final = (Path(__file__).parents[3] / "docs" / "reference" / "worker-contract.md").read_text()
DURABLE: Final[dict[str, Any]] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 1_000_000_000,
    "x-consumer-timeout": 2_147_483_647,
}
WAITING: Final[dict[str, Any]] = {
    "x-dead-letter-exchange": "",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
TRACE: Final = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")


@pytest.fixture
def queue() -> str:
    return f"plain-{secrets.token_hex(4)}"


@pytest_asyncio.fixture
async def sdk(rabbitmq_server: RabbitServer, queue: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broker]:
    wait_for_dead_letters(monkeypatch)
    broker = brokers.connect(rabbitmq_server.url, stream=queue)
    yield broker
    await broker.close()


@pytest.fixture
def plain(rabbitmq_server: RabbitServer, queue: str) -> Iterator[PlainAmqp]:
    with PlainAmqp(rabbitmq_server.url) as one:
        one.declare(queue, DURABLE)
        one.declare(f"{queue}.dead", DURABLE)
        one.declare(f"{queue}.delay.500", DURABLE | WAITING | {"x-dead-letter-routing-key": queue})
        yield one


async def take_one(broker: Broker) -> Taken:
    [job] = await broker.take(limit=1, wait=20)
    return job


def test_the_page_names_what_is_declared_here() -> None:
    for name, value in (DURABLE | WAITING).items():
        written = value if value != "" else '""'
        assert f"`{name}: {written}`" in PAGE


async def test_what_any_client_puts_is_a_job(plain: PlainAmqp, sdk: Broker, queue: str) -> None:
    """A type is enough; the queues that it has made are the SDK's."""
    plain.put(queue, b'{"width": 200}', message_type="resize")
    more = {"tenant": "acme", "traceparent": TRACE.traceparent, "tracestate": TRACE.tracestate, "attempt": 2}
    plain.put(queue, b"2", message_type="resize", message_id="job-7", headers=more)
    jobs = [await take_one(sdk), await take_one(sdk)]
    assert [(job.type, job.payload, job.attempt) for job in jobs] == [
        ("resize", b'{"width": 200}', 1),
        ("resize", b"2", 3),
    ]
    assert (jobs[1].job_id, jobs[1].tenant, jobs[1].trace) == ("job-7", "acme", TRACE)
    assert await sdk.ack(jobs) == frozenset()


async def test_what_the_sdk_puts_is_taken_and_done_by_any_client(plain: PlainAmqp, sdk: Broker, queue: str) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="a", tenant="acme", trace=TRACE, expires_in=60)])
    found = plain.get(queue)
    assert found is not None
    tag, said, payload = found
    headers: dict[str, Any] = dict(said.headers or {})
    assert (said.message_type, said.message_id, said.delivery_mode, payload) == ("resize", "a", 2, b"{}")
    assert (headers["tenant"], headers["traceparent"], headers["tracestate"]) == ("acme", *TRACE)
    assert headers["due"] <= time.time() * 1000 < headers["expires"] <= headers["due"] + 61_000
    plain.ack(tag)
    assert (await sdk.depth()).waiting == 0
    assert plain.get(queue) is None


async def test_a_retry_of_any_client_waits_where_those_of_the_sdk_do(plain: PlainAmqp, sdk: Broker, queue: str) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="a")])
    found = plain.get(queue)
    assert found is not None
    headers = {"due": round(time.time() * 1000) + 600, "attempt": 1, "checkpoint": '{"page": 3}'}
    waits = f"{queue}.delay.500"
    plain.put(waits, found[2], message_type="resize", message_id="a", headers=headers, expiration="600")
    plain.ack(found[0])
    job = await take_one(sdk)
    assert (job.job_id, job.attempt, job.checkpoint) == ("a", 2, b'{"page": 3}')
    assert await sdk.retry_later([Retry(job, 0.6)]) == frozenset(), "the queue is as the SDK would have made it"
    assert (await take_one(sdk)).attempt == 3


async def test_what_any_client_hands_back_has_made_no_attempt(plain: PlainAmqp, sdk: Broker, queue: str) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="a")])
    found = plain.get(queue)
    assert found is not None
    tag, said, payload = found
    headers = {"due": (said.headers or {})["due"], "attempt": 0, "begun": True}
    plain.put(queue, payload, message_type="resize", message_id="a", headers=headers)
    plain.ack(tag)
    job = await take_one(sdk)
    assert (job.job_id, job.attempt, job.begun, job.redelivered) == ("a", 1, True, False)


async def test_the_dead_letters_of_one_are_the_others(plain: PlainAmqp, sdk: Broker, queue: str) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="ours", tenant="acme")])
    letter = DeadLetter(
        await take_one(sdk), DeathReason.MAX_ATTEMPTS, error="e", traceback="t", version="v", worker="w"
    )
    assert await sdk.dead_letter([letter]) == frozenset()
    found = plain.get(f"{queue}.dead")
    assert found is not None
    tag, said, payload = found
    headers = {name: value for name, value in (said.headers or {}).items() if not name.startswith("x-")}
    assert (said.message_type, said.message_id, payload, headers["tenant"]) == ("resize", "ours", b"{}", "acme")
    ends = {"reason": "max_attempts", "error": "e", "traceback": "t", "attempts": 1, "version": "v", "worker": "w"}
    assert {f"dead.{name}": value for name, value in ends.items()}.items() <= headers.items()
    assert {"dead.at", "dead.token"} < headers.keys()
    plain.ack(tag)
    headers |= {"dead.reason": "rejected", "dead.token": "2"}
    plain.put(f"{queue}.dead", b"[2]", message_type="resize", message_id="theirs", headers=headers)
    [dead] = await sdk.dead_letters(limit=9)
    assert (dead.token, dead.job_id, dead.reason, dead.error, dead.payload) == ("2", "theirs", "rejected", "e", b"[2]")
    assert await sdk.redrive(DeadJobs()) == 1
    assert (await take_one(sdk)).attempt == 1
