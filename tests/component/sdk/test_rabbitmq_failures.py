"""Each way in which a RabbitMQ can fail has an error of its own, comes in time, and is over when the cause is."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from pamqp import commands

from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitServer, wait_for_dead_letters
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Credentials, DeadJobs, DeadLetter, DeathReason, NewJob, Priority, Retry, Taken
from workerpool.broker._rabbitmq import RabbitBroker
from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.broker._rabbitmq.messages import ConnectionLostError, Message
from workerpool.broker._rabbitmq.queues import count
from workerpool.errors import BrokerUnavailable, ConfigurationError, PayloadInvalid, QueueNotFound

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

Open = Callable[..., RabbitBroker]


@pytest_asyncio.fixture
async def open_broker(rabbitmq_server: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens one more view of the test's queue, or of another one. A machine that stands still hides no dead letter."""
    wait_for_dead_letters(monkeypatch)
    opened: list[RabbitBroker] = []
    queue = f"jobs-{secrets.token_hex(4)}"

    def open_one(
        *, url: str = "", timeout: float = 5.0, lease: float = 60.0, **more: Credentials | str
    ) -> RabbitBroker:
        more.setdefault("stream", queue)
        broker = brokers.connect(url or rabbitmq_server.url, timeout=timeout, lease_seconds=lease, **more)  # type: ignore[arg-type]
        assert isinstance(broker, RabbitBroker)
        opened.append(broker)
        return broker

    yield open_one
    for broker in opened:
        await broker.close()


def jobs(total: int) -> list[NewJob]:
    return [NewJob(type="t", payload=str(number).encode()) for number in range(total)]


def credentials(folder: Path, username: str, password: str) -> Credentials:
    (folder / "username").write_text(username + "\n")
    (folder / "password").write_text(password + "\n")
    return Credentials(username_file=folder / "username", password_file=folder / "password")


def through(proxy: Proxy) -> str:
    return f"amqp://127.0.0.1:{proxy.port}"


async def one(broker: RabbitBroker, *, seconds: float = 60.0) -> Taken:
    """The next job, however long the broker is away until then."""
    found: list[Taken] = []

    async def look() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            found.extend(await broker.take(limit=1, wait=0.2))
        return bool(found)

    await until(look, what="a job", seconds=seconds)
    return found[0]


async def some(broker: RabbitBroker, total: int) -> list[Taken]:
    """So many, in their order: a take finds fewer where the queue is slow to tell how many it has."""
    found: list[Taken] = []
    while len(found) < total:
        found += await broker.take(limit=total - len(found), wait=5)
    return found


async def raw(broker: RabbitBroker) -> AmqpConnection:
    """The connection on which it puts, to do what a broker never would."""
    await broker.depth()
    connection = broker._writes.current
    assert connection is not None
    return connection


@pytest.mark.parametrize(
    ("job", "what"),
    [
        (NewJob("t", b"1", ordering_key="k"), "ordering_key"),
        (NewJob("t", b"1", priority=Priority.HIGH), "priorit"),
        (NewJob("t", b"1", job_id="i" * 256), "255"),
        (NewJob("t", b"1", delay=5e6), "49 days"),
    ],
)
async def test_what_nobody_would_heed_is_refused_before_anything_is_put(
    open_broker: Open, job: NewJob, what: str
) -> None:
    broker = open_broker()
    with pytest.raises(ConfigurationError, match=what):
        await broker.put([NewJob("t", b"1"), job])
    assert (await broker.depth()).waiting == 0


class TestJobs:
    async def test_a_consumer_that_is_gone_gives_its_jobs_to_others_as_a_second_attempt(
        self, open_broker: Open
    ) -> None:
        mine, others = open_broker(), open_broker()
        await mine.put(jobs(1))
        [job] = await mine.take(limit=1, wait=5)
        assert await mine.extend([job]) == frozenset()
        mine._reads.drop()
        again = await one(others)
        assert (again.attempt, again.redelivered, again.job_id) == (2, True, job.job_id)
        lost = frozenset({job.token})
        assert await mine.extend([job]) == lost
        assert await mine.ack([job]) == lost
        assert await mine.retry_later([Retry(job, 0.0)]) == lost
        assert await mine.hand_back([job]) == lost
        assert await mine.dead_letter([DeadLetter(job, DeathReason.REJECTED)]) == lost
        assert not await mine.checkpoint(job, b"1")
        assert await others.ack([again]) == frozenset()
        depth = await others.depth()
        assert (depth.waiting, depth.dead_letters) == (0, 0)

    async def test_a_token_of_a_connection_before_is_not_one_of_this(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put(jobs(2))
        [old] = await broker.take(limit=1, wait=5)
        broker._reads.drop()
        new = await one(broker)
        assert await broker.ack([old]) == frozenset({old.token})
        assert await broker.ack([new]) == frozenset()

    async def test_some_of_many_are_acknowledged_and_the_others_stay(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put(jobs(6))
        taken = await some(broker, 6)
        assert await broker.ack([taken[0], taken[1], taken[3], taken[5]]) == frozenset()
        await broker.close()
        left = [await one(broker), await one(broker)]
        assert [job.payload for job in left] == [b"2", b"4"]

    async def test_what_nobody_works_on_is_given_back_at_once(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put(jobs(1))
        [job] = await broker.take(limit=1, wait=5)
        broker.let_go([job])
        assert (await one(open_broker())).payload == b"0"

    async def test_a_take_leaves_what_it_was_not_to_take(self, open_broker: Open) -> None:
        broker, others = open_broker(), open_broker()
        await broker.put(jobs(5))
        taken = await some(broker, 2)
        await broker.ack(taken)
        assert (await broker.depth()).waiting == 3
        assert len(await some(others, 3)) == 3

    async def test_a_checkpoint_goes_with_a_retry(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put(jobs(1))
        [job] = await broker.take(limit=1, wait=5)
        assert await broker.checkpoint(job, b'{"step": 1}')
        with pytest.raises(PayloadInvalid):
            await broker.checkpoint(job, b"1" * 70_000)
        await broker.retry_later([Retry(job, 0.01)])
        again = await one(broker)
        assert (again.attempt, again.checkpoint) == (2, b'{"step": 1}')
        await broker.hand_back([again])
        assert (await one(broker)).checkpoint == b'{"step": 1}'

    async def test_a_short_delay_is_not_held_up_by_a_long_one_before_it(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put([NewJob("t", b"late", delay=60.0), NewJob("t", b"soon", delay=0.1)])
        assert (await one(broker, seconds=40)).payload == b"soon"

    async def test_a_large_job_is_whole(self, open_broker: Open) -> None:
        broker = open_broker()
        payload = b'"' + b"x" * 500_000 + b'"'
        await broker.put([NewJob("t", payload), *jobs(1)])
        assert [job.payload for job in await some(broker, 2)] == [payload, b"0"]

    async def test_messages_of_strangers_are_malformed_or_jobs(self, open_broker: Open) -> None:
        broker = open_broker()
        connection = await raw(broker)
        strange = [
            commands.Basic.Properties(),
            commands.Basic.Properties(message_type="t", headers={"attempt": "many"}),
            commands.Basic.Properties(message_type="t", headers={"due": -1}),
            commands.Basic.Properties(message_type="t"),
        ]
        await connection.publish([Message(broker.stream, properties, b"1") for properties in strange])
        taken = await some(broker, 4)
        assert all(word in job.malformed for word, job in zip(("type", "attempt", "due"), taken[:3], strict=True))
        assert (taken[3].malformed, taken[3].attempt) == ("", 1)
        assert taken[3].job_id

    async def test_a_letter_with_a_long_traceback_is_kept_with_its_end(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put(jobs(1))
        job = await one(broker)
        letter = DeadLetter(job, DeathReason.REJECTED, error="e" * 100_000, traceback="t" * 500_000 + "end")
        assert await broker.dead_letter([letter]) == frozenset()
        [dead] = await broker.dead_letters(limit=1)
        assert dead.traceback.endswith("end")
        assert await broker.purge(DeadJobs()) == 1


class TestConnections:
    async def test_a_silent_server_is_unavailable_in_time_and_loses_nothing(
        self, open_broker: Open, rabbitmq_server: RabbitServer
    ) -> None:
        async with Proxy(rabbitmq_server.port) as proxy:
            await open_broker().put(jobs(2))
            broker = open_broker(url=through(proxy), timeout=0.5)
            await until(partial(_answers, broker), what="an answer before the silence")
            job = await one(broker)
            proxy.freeze()
            for asked in (broker.ack([job]), broker.put(jobs(1)), broker.take(limit=1, wait=0.1), broker.depth()):
                async with asyncio.timeout(20):
                    with pytest.raises(BrokerUnavailable, match="no answer"):
                        await asked
            assert not broker.connected
            proxy.thaw()
            await until(partial(_answers, broker, waiting=1), what="the job that nobody took")
            await broker.close()

    async def test_an_end_that_is_gone_without_a_word_is_found_by_its_silence(
        self, open_broker: Open, rabbitmq_server: RabbitServer
    ) -> None:
        async with Proxy(rabbitmq_server.port) as proxy:
            await open_broker().put(jobs(1))
            broker = open_broker(url=through(proxy), lease=2.0)
            job = await one(broker)
            proxy.freeze()
            await until(lambda: _lost(broker, job), what="the end of the silent connection")
            # RabbitMQ hears nothing from us either, and gives the job to somebody else.
            assert (await one(open_broker(), seconds=40)).attempt == job.attempt + 1
            await broker.close()

    async def test_an_idle_connection_is_kept(self, open_broker: Open) -> None:
        """Nothing is said on it for several times as long as either side would wait, but for heartbeats."""
        await open_broker().put(jobs(1))
        broker = open_broker(lease=2.0)

        async def kept() -> bool:
            """A machine that stands still is as silent, but not every time."""
            job = await one(broker)
            await asyncio.sleep(5)
            with contextlib.suppress(BrokerUnavailable):
                return await broker.ack([job]) == frozenset()
            return False

        await until(kept, what="a job of a connection that was idle")

    async def test_a_queue_deleted_under_its_users_is_an_error_once(self, open_broker: Open) -> None:
        broker = open_broker()
        connection = await raw(open_broker())
        await broker.put(jobs(1))
        await connection.call(commands.Queue.Delete(queue=broker.stream), commands.Queue.DeleteOk)
        with pytest.raises((QueueNotFound, BrokerUnavailable), match=r"no queue|could not write"):
            await broker.put(jobs(1))
        await broker.put(jobs(1))
        assert (await one(broker)).payload == b"0"

    async def test_a_take_ends_when_its_queue_is_deleted(self, open_broker: Open) -> None:
        taker = open_broker()
        connection = await raw(open_broker())
        waiting = asyncio.create_task(taker.take(limit=1, wait=60))
        await until(lambda: _consumers(connection, taker.stream), what="a consumer")
        await connection.call(commands.Queue.Delete(queue=taker.stream), commands.Queue.DeleteOk)
        async with asyncio.timeout(10):
            with pytest.raises(BrokerUnavailable, match="cancelled"):
                await waiting

    async def test_a_channel_that_the_server_closes_gives_its_jobs_back(self, open_broker: Open) -> None:
        broker = open_broker()
        await broker.put(jobs(1))
        [job] = await broker.take(limit=1, wait=5)
        connection = broker._reads.current
        assert connection is not None
        connection.send(commands.Basic.Ack(4711))
        await until(lambda: _lost(broker, job), what="the end of the channel")
        assert (await one(open_broker())).attempt == 2
        with pytest.raises(ConnectionLostError, match="unknown delivery tag"):
            await connection.call(commands.Basic.Qos(), commands.Basic.QosOk)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """One that these tests stop and configure; each leaves it running as it was."""
    with RabbitServer(tmp_path_factory.mktemp("rabbitmq-own")) as server:
        yield server


async def queue_process(what: Literal["suspend", "resume"], broker: RabbitBroker, server: RabbitServer) -> None:
    await asyncio.to_thread(server.ctl, "eval", f"sys:{what}('%2F_{broker.stream}').")


class TestEnd:
    async def test_what_was_acknowledged_last_stays_so(self, open_broker: Open, rabbitmq_server: RabbitServer) -> None:
        """RabbitMQ keeps acknowledgements to itself while it has many to write, and forgets them at the end."""
        broker, after = open_broker(timeout=90.0), open_broker()
        await broker.put(jobs(401))
        taken = await some(broker, 400)
        await queue_process("suspend", broker, rabbitmq_server)  # as while its disk is slow
        assert await broker.ack(taken[::2]) == frozenset()
        closing = asyncio.create_task(broker.close())
        await queue_process("resume", broker, rabbitmq_server)
        await closing
        found = await some(after, 201)
        untouched, *again = sorted(found, key=lambda job: job.attempt)
        assert (untouched.payload, untouched.attempt) == (b"400", 1)
        assert sorted(job.payload for job in again) == sorted(job.payload for job in taken[1::2])


class TestServer:
    async def test_a_kill_of_the_server_loses_nothing(self, open_broker: Open, own_server: RabbitServer) -> None:
        broker = open_broker(url=own_server.url)
        # A node that is killed within milliseconds of a queue's making may never find it a leader again
        # (rabbitmq-server#10070): make it before.
        await broker.put([NewJob("t", b"first", delay=2.0)])
        assert await broker.ack([await one(broker)]) == frozenset()
        await broker.put([*jobs(10), NewJob("t", b"late", delay=3.9)])  # due after the kill, else it may come twice
        taken = await some(broker, 4)
        [buried, *_] = taken
        await broker.dead_letter([DeadLetter(buried, DeathReason.REJECTED)])
        taken += await broker.take(limit=1, wait=5)  # the queue answers this after it has written the end of the job
        await asyncio.to_thread(own_server.kill)
        with contextlib.suppress(BrokerUnavailable):  # the news of the end may not have come
            assert await broker.ack(taken[1:]) == {job.token for job in taken[1:]}
        await asyncio.to_thread(own_server.start)
        found = [await one(broker) for _ in range(10)]
        assert sorted(job.payload for job in found) == sorted([b"late", *(job.payload for job in jobs(10)[1:])])
        again = {b"1": 2, b"2": 2, b"3": 2, b"4": 2}
        assert {job.payload: job.attempt for job in found if job.attempt > 1} == again
        assert await broker.ack(found) == frozenset()
        # After a start, a queue that nobody used yet is counted as empty until it has found its leader.
        await until(lambda: _has_dead(broker, 1), what="the count of the dead job")

    async def test_a_server_without_memory_refuses_jobs_in_time_and_gives_out_those_it_has(
        self, open_broker: Open, own_server: RabbitServer
    ) -> None:
        broker = open_broker(url=own_server.url)
        await broker.put(jobs(3))
        taken = await broker.take(limit=1, wait=5)
        await asyncio.to_thread(own_server.ctl, "set_vm_memory_high_watermark", "0")
        try:
            async with asyncio.timeout(30):
                with pytest.raises(BrokerUnavailable, match="takes no jobs now"):
                    await broker.put(jobs(1))
            assert await broker.ack(taken) == frozenset()
            assert await broker.ack(await broker.take(limit=1, wait=5)) == frozenset()
            [last] = await broker.take(limit=1, wait=5)
            with pytest.raises(BrokerUnavailable, match="takes no jobs now"):
                await broker.retry_later([Retry(last, 0.0)])
            assert await broker.extend([last]) == frozenset(), "still ours"
        finally:
            await asyncio.to_thread(own_server.ctl, "set_vm_memory_high_watermark", "0.8")
        await until(partial(_retried, broker, last), what="the retry")
        # The job that was refused may be there as well: RabbitMQ reads it when it has memory again.
        found = [await one(broker)]
        while found[-1].attempt != 2:
            found.append(await one(broker))
        assert len(found) <= 2


async def _answers(broker: RabbitBroker, *, waiting: int = 0) -> bool:
    with contextlib.suppress(BrokerUnavailable):
        return (await broker.depth()).waiting >= waiting
    return False


async def _lost(broker: RabbitBroker, job: Taken) -> bool:
    return bool(await broker.extend([job]))


async def _has_dead(broker: RabbitBroker, jobs: int) -> bool:
    return (await broker.depth()).dead_letters == jobs


async def _consumers(connection: AmqpConnection, queue: str) -> bool:
    return (await count(connection, queue))[1] > 0


async def _retried(broker: RabbitBroker, job: Taken) -> bool:
    try:
        return await broker.retry_later([Retry(job, 0.0)]) == frozenset()
    except BrokerUnavailable:
        return False
