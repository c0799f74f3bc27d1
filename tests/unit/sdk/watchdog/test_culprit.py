"""Who holds up the event loop is known by its job, whatever code its handler shares with others."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.waiting import until
from workerpool import Job, Queue, Worker
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Stop
from workerpool.runtime.evidence import Evidence

Handle = Callable[[Job], Any]
BLOCKED, MOVED = "the event loop is blocked", "runs in the thread lane"


class Log:
    """What was logged of which type of job."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def told(self, text: str) -> list[str]:
        """Without those that nobody is blamed for: a busy machine holds up the loop, too."""
        return [type_ for event, type_ in self.lines if text in event and type_]

    def info(self, _event: str, **_fields: Any) -> None: ...

    def warning(self, event: str, *, job_type: str = "", **_fields: Any) -> None:
        self.lines.append((event, job_type))


def hold(log: Log) -> None:
    """Hold up the loop until that is told."""
    before, patience = len(log.told(BLOCKED)), time.monotonic() + 20
    while len(log.told(BLOCKED)) == before and not log.told(MOVED) and time.monotonic() < patience:
        time.sleep(0.01)


def one_function(log: Log) -> dict[str, Handle]:
    async def both(job: Job) -> None:
        if job.type == "slow":
            hold(log)

    return {"slow": both, "quick": both}


def one_factory(log: Log) -> dict[str, Handle]:
    def make(act: Callable[[], None]) -> Handle:
        async def handle(_job: Job) -> None:
            act()

        return handle

    return {"slow": make(lambda: hold(log)), "quick": make(lambda: None)}


def one_inside_the_other(log: Log) -> dict[str, Handle]:
    async def quick(job: Job) -> None:
        if job.type == "slow":
            hold(log)

    async def slow(job: Job) -> None:
        await quick(job)

    return {"slow": slow, "quick": quick}


@pytest.mark.parametrize("handlers", [one_function, one_factory, one_inside_the_other])
async def test_the_handler_of_the_job_is_blamed_and_moved(handlers: Callable[[Log], dict[str, Handle]]) -> None:
    log, queue, worker, stop = Log(), Queue.connect("memory://"), Worker(), Stop()
    for type_, handle in handlers(log).items():
        worker.job(type_, timeout=30, kind="io")(handle)
    contract = Contract.from_env({}, source=queue.source)
    running = asyncio.create_task(worker.assemble(contract, evidence=Evidence(), log=log).engine.run(stop))
    await queue.enqueue("quick")
    for count in (1, 2, 3):
        await queue.enqueue("slow")
        await until(lambda count=count: len(log.told("turns again")) == count, what="the end of a block")  # type: ignore[misc]
    stop.ask()
    await running
    assert log.told(BLOCKED) == ["slow"] * 3
    assert log.told(MOVED) == ["slow"]
