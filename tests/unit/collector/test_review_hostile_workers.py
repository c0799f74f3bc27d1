"""What one worker, one queue or one order says cannot silence the collector of a whole namespace."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from workerpool.protocol import Counters, Hello, Report
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.collector.uplink import Uplink
from workerpool_operator.protocol import MOST_JOBS, PoolConfig, SampleError, Samples, Unheld, decode_up
from workerpool_operator.protocol.outbox import Outbox


def board() -> Board:
    made = Board(announce=lambda *_, **__: None)
    made.configure((PoolConfig(name="web", uid="1", queues=({"name": "main"},)),))
    return made


def pod(uid: str = "u") -> PodInfo:
    return PodInfo(
        name="p", uid=uid, pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
    )


def state(report: Report, **hello: str) -> WorkerState:
    said = Hello(pool="web", pod="p", slots=1, **({"version": "v", "boot_id": "b"} | hello))
    return WorkerState(
        pod="p", uid="u", version=said.version, source="stream", boot_id=said.boot_id, report=report, connected=True
    )


@pytest.mark.parametrize(
    "said",
    [
        state(Report(in_flight=0, slots=1, paused="broker: " + "x" * 5000)),
        state(Report(in_flight=0, slots=1, troubles={str(number) * 300: "x" * 5000 for number in range(99)})),
        state(Report(in_flight=0, slots=1, fence="x" * 5000)),
        state(Report(in_flight=0, slots=1), version="x" * 5000),
        state(Report(in_flight=0, slots=1), boot_id="x" * 5000),
        state(Report(in_flight=1, slots=1, remaining_seconds=float("nan"))),
        state(Report(in_flight=1, slots=1, remaining_seconds=float("inf"))),
        state(Report(in_flight=1, slots=1, cpu_cores=float("inf"))),
        state(Report(in_flight=1, slots=1, counters=Counters(run_seconds=float("nan")))),
        state(Report(in_flight=10**400, slots=1)),
    ],
    ids=[
        "paused",
        "troubles",
        "fence",
        "version",
        "boot id",
        "not a number",
        "infinite",
        "infinite CPU",
        "no time",
        "a huge number",
    ],
)
def test_whatever_a_worker_says_there_is_a_message_about_all_workers(said: WorkerState) -> None:
    """A broker's long error text, for example, must not keep the others' reports from the operator."""
    known = board()
    known.pod_seen(pod())
    known.heard("web", said)
    message = known.workers_message("web")
    assert message is not None
    assert [worker.uid for worker in message.workers] == ["u"]
    assert message.workers[0].in_flight <= MOST_JOBS, "a status holds no larger number"


def test_a_job_whose_end_is_not_a_number_is_taken_to_have_no_known_end() -> None:
    known = board()
    known.pod_seen(pod())
    known.heard("web", state(Report(in_flight=1, slots=1, remaining_seconds=float("nan"))))
    message = known.workers_message("web")
    assert message is not None
    assert message.workers[0].remaining_seconds is None


def test_a_worker_that_speaks_after_its_pod_is_gone_is_not_remembered() -> None:
    """A pod deleted by force still runs for a while; nothing would ever take its worker off the board again."""
    known = board()
    known.pod_seen(pod())
    known.pod_gone("u")
    known.heard("web", state(Report(in_flight=3, slots=4)))
    message = known.workers_message("web")
    assert message is not None
    assert message.workers == ()


class Polls:
    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
        """Nobody counts."""


@pytest.mark.parametrize("url", ["redis://h:99999/0", "redis://[1:2/0", "redis://[::::]/0"])
async def test_an_address_that_nobody_can_dial_is_told_like_any_other_trouble(url: str, tmp_path: Path) -> None:
    """The CRD lets a few through, such as a port above 65535: the queue says so instead of saying nothing."""
    told = asyncio.Event()
    known = Board(announce=lambda *_, **__: told.set())
    queue: dict[str, Any] = {"name": "main", "redisStream": {"url": url, "stream": "s", "group": "g"}}
    pools = (PoolConfig(name="web", uid="1", queues=(queue,)),)
    known.configure(pools)
    samplers = Samplers(known, connect=connect_from(tmp_path), observer=Polls())
    samplers.apply(pools)
    try:
        async with asyncio.timeout(60):
            await told.wait()
    finally:
        await samplers.stop()
    message = known.samples_message("web")
    assert message is not None
    assert message.samples[0].error is SampleError.UNREACHABLE
    assert message.samples[0].message


def uplink(compose: Any) -> Uplink:
    config = CollectorConfig.from_environment(
        {"POD_NAMESPACE": "ns", "POD_NAME": "c", "OPERATOR_STREAM": "127.0.0.1:1", "API_SERVER": "http://127.0.0.1:1"}
    )
    return Uplink(config, compose=compose, everything=list, hold=float, obey=lambda _: None)


async def test_a_message_that_cannot_be_made_holds_up_no_other() -> None:
    def compose(_: str, pool: str) -> BaseModel:
        if pool == "bad":
            raise ValueError("cannot be made")
        return Samples(pool=pool, samples=())

    up = uplink(compose)
    outbox = up._links["1.2.3.4"] = Outbox()
    arrived = asyncio.Event()
    sent: list[str] = []

    async def write(text: str) -> None:
        sent.append(text)
        if "good" in text:
            arrived.set()

    gather, drain = asyncio.create_task(up._gather()), asyncio.create_task(outbox.drain(write))
    try:
        for _ in range(2):
            arrived.clear()
            up.announce("samples", "bad")
            up.announce("samples", "good")
            async with asyncio.timeout(60):
                await arrived.wait()
    finally:
        gather.cancel()
        drain.cancel()
        await asyncio.gather(gather, drain, return_exceptions=True)
    told = [message for text in sent if (message := decode_up(text)) is not None]
    assert [message for message in told if not isinstance(message, Unheld)] == [Samples(pool="good", samples=())] * 2
    assert {message.pool for message in told if isinstance(message, Unheld)} == {"bad"}


async def test_a_fault_in_a_conversation_is_followed_by_another_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it was: a replica that is not dialled again never hears of this namespace."""
    up, dialled = uplink(lambda *_: None), asyncio.Queue[str]()

    async def connect(address: str) -> None:
        dialled.put_nowait(address)
        raise KeyError("an order that nobody foresaw")

    monkeypatch.setattr(up, "_connect", connect)
    task = asyncio.create_task(up._dial("1.2.3.4"))
    try:
        async with asyncio.timeout(60):
            for _ in range(2):
                await dialled.get()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
