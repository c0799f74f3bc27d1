"""A job moves once, whoever dies at whatever point, and whoever is late."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.dying import Cast, a_server_dies
from tests.support.nats import NatsServer, cluster_of
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Broker, DeadJobs, DeadLetter, DeathReason, NewJob, Retry, Taken
from workerpool.broker._nats import NatsBroker
from workerpool.errors import BrokerUnavailable

pytestmark = [pytest.mark.component, pytest.mark.nats]

LEASE = 0.4
PATIENT = 6.0
Open = Callable[..., NatsBroker]


@pytest_asyncio.fixture
async def another(nats_server: NatsServer, nats_stream: str) -> AsyncIterator[Open]:
    """Opens one more view of the same queue.

    What JetStream sends begins its lease then, and who reads that late is given it as another attempt: where attempts
    or an order count, the lease is longer than this machine stands still.
    """
    opened: list[Broker] = []

    def open_one(*, lease: float = LEASE, url: str = "", timeout: float = 5.0) -> NatsBroker:
        one = brokers.connect(
            url or nats_server.url, stream=nats_stream, group="g", lease_seconds=lease, timeout=timeout
        )
        assert isinstance(one, NatsBroker)
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        await one.close()


async def take(broker: Broker, limit: int = 1) -> list[Taken]:
    found: list[Taken] = []

    async def enough() -> bool:
        found.extend(await broker.take(limit=limit - len(found), wait=0.1))
        return len(found) == limit

    await until(enough, what=f"{limit} jobs")
    return found


async def unfinished(broker: Broker) -> int:
    depth = await broker.depth()
    return depth.unfinished


def dies_before_it_acknowledges(broker: NatsBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(*_: Any) -> None:
        raise BrokerUnavailable("gone")

    monkeypatch.setattr(broker._link, "tell", tell)


MOVES: dict[str, Callable[[Broker, Taken], Any]] = {
    "retry": lambda broker, job: broker.retry_later([Retry(job, 0.0)]),
    "retry later": lambda broker, job: broker.retry_later([Retry(job, 0.3)]),
    "hand back": lambda broker, job: broker.hand_back([job]),
    "dead letter": lambda broker, job: broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)]),
}


@pytest.mark.parametrize("move", MOVES)
async def test_who_dies_in_the_middle_of_a_move_doubles_no_job(
    move: str, another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, others = another(), another()
    await dying.put([NewJob(type="t", payload=b"1", job_id="x")])
    [job] = await take(dying)
    dies_before_it_acknowledges(dying, monkeypatch)
    with pytest.raises(BrokerUnavailable):
        await MOVES[move](dying, job)

    async def settled() -> bool:
        await others.ack(await others.take(limit=5, wait=0.1))
        return await unfinished(others) == 0

    await until(settled, what="the old message acknowledged by whoever got it")
    assert (await others.depth()).dead_letters == (move == "dead letter")


@pytest.mark.parametrize("move", MOVES)
async def test_a_move_whose_answer_was_lost_can_be_repeated(
    move: str, another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = another(lease=60)
    # What has become due meanwhile is another message, of which nobody can tell who put it.
    again = MOVES[move] if move != "retry later" else lambda broker, job: broker.retry_later([Retry(job, 60.0)])
    await mine.put([NewJob(type="t", payload=b"1")])
    [job] = await take(mine)
    with monkeypatch.context() as patch:
        dies_before_it_acknowledges(mine, patch)
        with pytest.raises(BrokerUnavailable):
            await again(mine, job)
    assert await again(mine, job) == frozenset()
    assert await unfinished(mine) == (move != "dead letter")


async def test_who_is_late_to_acknowledge_keeps_the_job_from_those_who_would_get_it(another: Open) -> None:
    """Nobody has it yet; from then on nobody gets it."""
    mine, others = another(), another()
    await mine.put([NewJob(type="t", payload=b"1")])
    [job] = await take(mine)
    await asyncio.sleep(1.5 * LEASE)
    assert await mine.ack([job]) == frozenset()
    assert await unfinished(others) == 0
    assert await others.take(limit=1, wait=2 * LEASE) == []


async def test_who_is_late_with_anything_has_lost_what_another_took_over(another: Open) -> None:
    mine, thief = another(), another()
    await mine.put([NewJob(type="t", payload=b"1")])
    [job] = await take(mine)
    [stolen] = await take(thief)
    assert not await mine.checkpoint(job, b"1")
    for move in MOVES.values():
        assert await move(mine, job) == {job.token}
    assert await mine.ack([job]) == {job.token}
    assert await thief.ack([stolen]) == frozenset()
    assert await unfinished(thief) == 0


async def test_our_own_late_job_is_not_given_to_us_again(another: Open) -> None:
    mine = another()
    await mine.put([NewJob(type="t", payload=b"1")])
    [job] = await take(mine)
    assert await mine.take(limit=1, wait=3 * LEASE) == []
    assert await mine.extend([job]) == frozenset()
    assert await mine.ack([job]) == frozenset()
    assert await unfinished(mine) == 0


async def test_a_job_that_was_let_go_comes_back_as_another_attempt(another: Open) -> None:
    mine = another(lease=PATIENT)
    await mine.put([NewJob(type="t", payload=b"1")])
    [job] = await take(mine)
    mine.let_go([job])
    [again] = await take(mine)
    assert (again.attempt, again.redelivered) == (2, True)


async def test_jobs_that_were_taken_over_come_before_the_others(another: Open) -> None:
    mine, others = another(lease=PATIENT), another(lease=PATIENT)
    await mine.put([NewJob(type="t", payload=str(number).encode()) for number in range(9)])
    await take(mine, 2)
    await asyncio.sleep(1.2 * PATIENT)
    found = await take(others, 3)
    first = [job.payload for job in found]
    assert {b"0", b"1"} <= set(first + [job.payload for job in await take(others, 2)])


async def test_what_a_job_says_goes_with_it_over_every_move(another: Open) -> None:
    """Also over one of a worker that died, with its checkpoint."""
    mine, others = another(lease=PATIENT), another(lease=PATIENT)
    await mine.put([NewJob(type="t", payload=b"1", job_id="i", tenant="acme", ordering_key="k", expires_in=600)])
    [job] = await take(mine)
    assert await mine.checkpoint(job, b'{"at": 1}')
    await mine.retry_later([Retry(job, 0.0)])
    [job] = await take(mine)
    assert (job.attempt, job.checkpoint) == (2, b'{"at": 1}')
    await mine.checkpoint(job, b'{"at": 2}')
    [job] = await take(others)
    assert (job.attempt, job.checkpoint, job.redelivered) == (3, b'{"at": 2}', True)
    await others.hand_back([job])
    [job] = await take(mine)
    assert (job.attempt, job.checkpoint, job.redelivered) == (3, b'{"at": 2}', True), "no attempt had an outcome yet"
    assert (job.job_id, job.tenant, job.ordering_key, job.expired) == ("i", "acme", "k", False)
    await mine.dead_letter([DeadLetter(job, DeathReason.MAX_ATTEMPTS, "boom", "trace", "v1", "w1")])
    [dead] = await mine.dead_letters(limit=9)
    assert (dead.job_id, dead.tenant, dead.ordering_key, dead.attempts) == ("i", "acme", "k", 3)
    assert (dead.reason, dead.error, dead.traceback, dead.version, dead.worker) == (
        "max_attempts",
        "boom",
        "trace",
        "v1",
        "w1",
    )
    assert await mine.redrive(DeadJobs(job_id="other")) == 0
    assert await mine.redrive(DeadJobs(job_id="i")) == 1
    [job] = await take(mine)
    assert (job.attempt, job.checkpoint, job.job_id, job.tenant) == (1, b"", "i", "acme")
    assert await mine._bucket.keys("checkpoint.") == [], "a checkpoint is gone with its job"


async def test_dead_letters_are_listed_in_pages_and_purged(another: Open) -> None:
    broker = another(lease=60)
    await broker.put([NewJob(type="t", payload=str(number).encode()) for number in range(5)])
    jobs = await take(broker, 5)
    reasons = [DeathReason.REJECTED, DeathReason.MAX_ATTEMPTS]
    await broker.dead_letter([DeadLetter(job, reasons[number % 2]) for number, job in enumerate(jobs)])
    first = await broker.dead_letters(limit=3)
    rest = await broker.dead_letters(limit=3, after=first[-1].token)
    assert [job.payload for job in first + rest] == [b"0", b"1", b"2", b"3", b"4"]
    assert await broker.purge(DeadJobs(reason="max_attempts")) == 2
    assert await broker.redrive(DeadJobs()) == 3
    assert [job.payload for job in await take(broker, 3)] == [b"0", b"2", b"4"]
    assert (await broker.depth()).dead_letters == 0


async def test_what_expired_or_waited_too_long_is_given_to_nobody(another: Open) -> None:
    broker = another(lease=60)
    await broker.put([NewJob(type="t", payload=b"1", expires_in=0.05), NewJob(type="t", payload=b"2")])
    await asyncio.sleep(0.1)
    [job] = await take(broker)
    assert job.payload == b"2"
    await broker.hand_back([job])
    broker.shed_after({"normal": 0.01})
    await asyncio.sleep(0.05)
    assert await broker.take(limit=1, wait=0.1) == []
    assert broker.dropped() == {DeathReason.EXPIRED: 1, DeathReason.SHED: 1}
    assert [job.attempts for job in await broker.dead_letters(limit=9)] == [0, 0]


async def test_all_draw_from_one_bucket(another: Open) -> None:
    views = [another() for _ in range(3)]
    drawn = await asyncio.gather(
        *(view.take_tokens("pool:media/thumbs", count=3, rate=0.01, burst=5.0) for view in views)
    )
    assert sum(tokens.granted for tokens in drawn) == 5
    assert (await views[0].take_tokens("pool:media/thumbs", count=-2, rate=0.01, burst=5.0)).granted == -2
    assert (await views[1].take_tokens("pool:media/thumbs", count=3, rate=0.01, burst=5.0)).granted == 2
    assert (await views[1].take_tokens("another", count=9, rate=0.01, burst=5.0)).granted == 5


async def test_a_lease_that_nobody_goes_by_any_more_is_no_longer_in_force(
    another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, hasty = another(lease=60.0), another()
    await patient.maintain()
    await hasty.maintain()
    assert await leases(hasty) == [60.0, 60.0]
    monkeypatch.setattr("workerpool.broker._nats.leases._FORGET_SECONDS", PATIENT)
    await asyncio.sleep(1.1 * PATIENT)
    hasty.set_lease(LEASE)
    hasty._leases._said = ("", 0.0)
    await hasty.maintain()
    assert await leases(hasty) == [LEASE, LEASE]
    await patient.extend([])
    patient._leases._said = ("", 0.0)
    await patient.maintain()
    assert await leases(hasty) == [60.0, 60.0]


async def test_a_lease_that_somebody_died_in_the_middle_of_changing_is_changed_by_the_next(
    another: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A producer made the consumers with its own lease, and the first worker died between the one and the other."""
    producer, dying, worker = another(lease=60.0), another(), another()
    await producer.put([NewJob(type="t", payload=b"1")])
    make = dying._topology._make_consumer
    made: list[Any] = []

    async def once(*arguments: Any) -> None:
        if made:
            raise BrokerUnavailable("gone")
        made.append(arguments)
        await make(*arguments)

    monkeypatch.setattr(dying._topology, "_make_consumer", once)
    with pytest.raises(BrokerUnavailable):
        await dying.maintain()
    assert await leases(worker) == [LEASE, 60.0]
    await worker.maintain()
    assert await leases(worker) == [LEASE, LEASE]


async def leases(broker: NatsBroker) -> list[float]:
    """In force, of the two consumers."""
    infos = [await broker._link.api(f"CONSUMER.INFO.{broker.stream}.{name}") for name in ("g", "g-again")]
    return [info["config"]["ack_wait"] / 1e9 for info in infos]


def tells_of(servers: Sequence[NatsServer]) -> bool:
    """Whether who connects to the first one hears of the others, where to go when that one dies."""
    with socket.create_connection(("127.0.0.1", servers[0].port), timeout=20) as probe, probe.makefile() as said:
        line = said.readline()
    return all(f":{server.port}" in line for server in servers[1:])


async def test_a_server_of_a_cluster_that_dies_costs_no_job(another: Open, tmp_path: Path) -> None:
    """The stream has a replica on each of three servers; the one that everybody is connected to is killed."""
    servers = cluster_of(tmp_path)
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
        await until(lambda: tells_of(servers), what="a server that tells its clients of the others")
        producer, consumer = (another(url=servers[0].url, lease=30, timeout=5) for _ in range(2))

        async def kill() -> None:
            made = await producer._link.api(f"STREAM.INFO.{producer.stream}")
            assert made["config"]["num_replicas"] == 3
            await asyncio.to_thread(servers[0].kill)

        cast = Cast(producer, consumer)
        await a_server_dies(cast, kill)
        await cast.finds_no_more()
    finally:
        for server in servers:
            server.kill()
