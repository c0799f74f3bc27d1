"""Fifty workers and a Redis that restarts under them: when they are back, by Redis' own list of its clients."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog

from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue, Worker
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Stop
from workerpool.runtime.evidence import Evidence

pytestmark = [pytest.mark.component, pytest.mark.redis]
WORKERS = 50
CONNECTIONS = 2 * WORKERS
"""Each reads on one and sends commands on the other."""


def connected(server: RedisServer) -> set[str]:
    """Ids of the workers' connections."""
    with server.client() as client:
        return {one["id"] for one in client.client_list("normal") if one["name"].startswith("workerpool")}


def is_back(server: RedisServer, lost: str) -> bool:
    return len(connected(server) - {lost}) == 2


@asynccontextmanager
async def fleet(server: RedisServer, *, workers: int) -> AsyncIterator[None]:
    source = Queue.connect(server.url, stream="jobs").source
    stops, tasks = [], []
    for number in range(workers):
        worker = Worker()

        @worker.job("nothing")
        async def nothing(job: Job) -> None:
            """A worker has at least one handler."""

        contract = Contract.from_env({"WORKERPOOL_POD": f"pod-{number}"}, source=source)
        log = structlog.get_logger()
        engine = worker.assemble(contract, evidence=Evidence(), log=log, watchdog=False).engine
        stops.append(Stop())
        tasks.append(asyncio.create_task(engine.run(stops[-1])))
    try:
        yield
    finally:
        for stop in stops:
            stop.ask()
        await asyncio.gather(*tasks)


async def connect_times(server: RedisServer, *, count: int) -> list[float]:
    """When each of so many connections was seen first, in order, seconds of one clock."""
    seen: dict[str, float] = {}

    def look() -> bool:
        for one in connected(server):
            seen.setdefault(one, time.monotonic())
        return len(seen) >= count

    await until(look, what=f"{count} connections")
    return sorted(seen.values())


@asynccontextmanager
async def watched() -> AsyncIterator[list[float]]:
    """For how long this machine stood still meanwhile, seconds, each time: the workers, which run here, did as well."""
    found: list[float] = []

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.05)
            found.append(time.monotonic() - began)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def comeback(folder: Path, outage: float) -> tuple[list[float], float]:
    """When all were back after a restart; and the longest time for which this machine stood still meanwhile."""
    with RedisServer(folder) as server:
        async with fleet(server, workers=WORKERS):
            await until(lambda: len(connected(server)) == CONNECTIONS, what="all workers connected")
            async with watched() as stood_still:
                server.kill()
                await asyncio.sleep(outage)  # what is tested: how long it is away
                await asyncio.to_thread(server.start)
                times = await connect_times(server, count=CONNECTIONS)
                await asyncio.sleep(0.1)  # the last look's, too
    return times, max(stood_still)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outage", [0.0, 2.0])
async def test_after_a_restart_workers_come_back_over_five_seconds(tmp_path: Path, outage: float) -> None:
    """Those whose moments came while this machine stood still come together then, but not every time."""
    for number in range(5):
        times, stood_still = await comeback(tmp_path / f"{number}", outage)
        if stood_still < 1:
            break
    spread = times[-1] - times[0]
    assert spread >= 5
    seconds = Counter(int(at - times[0]) for at in times)
    assert max(seconds.values()) <= 3 * CONNECTIONS / spread
    assert len(times) == CONNECTIONS, "nobody came twice"


async def test_a_worker_that_lost_one_connection_is_back_at_once(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with fleet(server, workers=1):
            await until(lambda: len(connected(server)) == 2, what="the worker connected")
            first = connected(server)
            for lost in first:
                async with watched() as stood_still:
                    with server.client() as client:
                        client.client_kill_filter(_id=lost)
                    began = time.monotonic()
                    await until(partial(is_back, server, lost), what="another one in its place")
                    took = time.monotonic() - began
                    await asyncio.sleep(0.1)  # what was left of the last one
                # The one for commands is needed once a second; both far sooner than after a restart.
                assert took - sum(seconds for seconds in stood_still if seconds > 0.5) < 3
