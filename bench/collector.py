"""How soon a collector knows of a burst on an idle queue, and what its readings cost, on a Redis of its own.

| Figure | Means |
|---|---|
| `first_told_*_seconds` | from just before the first of 60 jobs is put, one by one, until a reading with jobs is told |
| `first_told_jobs_*` | how many of the 60 were in that reading |
| `all_told_*_seconds` | from just before the first of 60 jobs is put until a reading with all of them is told |
| `rest_cpu_milli`, `rest_redis_cpu_milli` | thousandths of a core at rest, of the samplers' process and of Redis |
| `rest_commands_per_queue_second` | what Redis is asked for each queue at rest, each second |

Bursts come at a random moment to a queue that has rested for 6 s, while all other queues are watched too.

    uv run python -m bench.collector [--json FILE] [--queues 50] [--bursts 200]
"""

import argparse
import asyncio
import random
import statistics
import time
from pathlib import Path
from typing import Any

import redis.asyncio as redis_client
import structlog

from bench.figures import tell
from bench.worker import redis_server
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.protocol import PoolConfig

BURST_JOBS = 60
REST_SECONDS = 6.0
"""A queue that has moved is read often for 5 s."""
REST_MEASURED_SECONDS = 30.0


class Observed:
    """A collector's samplers and what they tell."""

    def __init__(self, url: str, queues: int) -> None:
        self.board = Board(announce=self._told)
        self.samplers = Samplers(self.board, connect=connect_from(Path("/nonexistent")), observer=self)
        self._heard = asyncio.Event()
        redis = {"url": url, "group": "g"}
        self.pools = tuple(
            PoolConfig(name=f"p{n}", uid="1", queues=({"name": "main", "redisStream": {**redis, "stream": f"s{n}"}},))
            for n in range(queues)
        )
        self.board.configure(self.pools)

    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:  # noqa: ARG002
        """Each reading has to work, or the figures mean nothing."""
        if error:
            raise SystemExit(f"{pool}/{queue} could not be read: {error}")

    def _told(self, *_: object, **__: object) -> None:
        self._heard.set()

    async def reading(self, pool: str, at_least: int) -> tuple[float, int]:
        """When a reading of that many jobs was told, and how many they were."""
        while True:
            self._heard.clear()
            sample = self.board.pools[pool].samples.get("main")
            if sample and (sample[0].waiting or 0) >= at_least:
                return time.monotonic(), sample[0].waiting or 0
            await self._heard.wait()


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--queues", type=int, default=50)
    parser.add_argument("--bursts", type=int, default=200)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with redis_server() as url:
        figures = asyncio.run(measure(url, arguments.queues, arguments.bursts))
    tell(figures, arguments.json)


async def measure(url: str, queues: int, bursts: int) -> dict[str, float]:
    """All figures."""
    client = redis_client.Redis.from_url(url)
    observed = Observed(url, queues)
    observed.samplers.apply(observed.pools)
    try:
        await asyncio.sleep(REST_SECONDS)
        return await at_rest(client, queues) | await on_bursts(client, observed, bursts)
    finally:
        await observed.samplers.stop()
        await client.aclose()


async def at_rest(client: Any, queues: int) -> dict[str, float]:
    """What readings cost while nothing comes."""
    before, cpu, clock = await client.info(), time.process_time(), time.monotonic()
    await asyncio.sleep(REST_MEASURED_SECONDS)
    cpu, clock, after = time.process_time() - cpu, time.monotonic() - clock, await client.info()

    def grown(*names: str) -> float:
        return sum(float(after[name]) - float(before[name]) for name in names) / clock

    return {
        "rest_cpu_milli": 1000 * cpu / clock,
        "rest_redis_cpu_milli": 1000 * grown("used_cpu_sys", "used_cpu_user"),
        "rest_commands_per_queue_second": grown("total_commands_processed") / queues,
    }


async def on_bursts(client: Any, observed: Observed, bursts: int) -> dict[str, float]:
    """How soon bursts are told, each on the queue that has rested longest."""
    first: list[float] = []
    jobs: list[float] = []
    every: list[float] = []
    emptied = dict.fromkeys(range(len(observed.pools)), float("-inf"))
    for _ in range(bursts):
        number = min(emptied, key=emptied.__getitem__)
        rested = emptied[number] + REST_SECONDS - time.monotonic()
        await asyncio.sleep(max(0.0, rested) + random.uniform(0.0, 0.5))
        pool, stream = f"p{number}", f"s{number}"
        started = time.monotonic()
        reading = asyncio.create_task(observed.reading(pool, 1))
        for _ in range(BURST_JOBS):
            await client.xadd(stream, {"type": "t", "payload": "{}"})
        told, count = await reading
        first.append(told - started)
        jobs.append(count)
        every.append((await observed.reading(pool, BURST_JOBS))[0] - started)
        await client.xtrim(stream, maxlen=0, approximate=False)
        emptied[number] = time.monotonic()
    return (
        _percentiles("first_told_{}_seconds", first)
        | _percentiles("first_told_jobs_{}", jobs)
        | _percentiles("all_told_{}_seconds", every)
    )


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {name.format("p5"): cuts[0], name.format("p50"): cuts[9], name.format("p95"): cuts[18]}


if __name__ == "__main__":
    main()
