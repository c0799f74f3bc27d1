"""Jobs per second that one connection takes from a RabbitMQ and acknowledges, by how many are taken at a time.

The server is one of its own on this machine, with its files in the folder for temporary files (`TMPDIR`): what its disk
takes to write is most of it. `waited_for`: a job at a time, put while somebody waits for it.

    uv run python -m bench.takes [--json FILE] [--seconds 2]
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from pathlib import Path

from bench.figures import tell
from e2e.support.rabbitmq_server import RabbitServer
from workerpool import broker as brokers
from workerpool.broker import Broker, NewJob

AT_A_TIME = (1, 4, 16, 100)
_FILL = 2_000


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RabbitServer(Path(folder)) as server:
        tell(asyncio.run(measure(server.url, seconds=arguments.seconds)), arguments.json)


async def measure(url: str, *, seconds: float) -> dict[str, float]:
    """Each for so long, of a queue of its own that is never empty."""
    figures = {f"{limit}_at_a_time": await taken(url, limit, seconds=seconds) for limit in AT_A_TIME}
    return figures | {"waited_for": await waited_for(url, seconds=seconds)}


async def taken(url: str, limit: int, *, seconds: float) -> float:
    """Jobs a second; filling the queue is not counted."""
    broker, left, done, spent = _open(url), 0, 0, 0.0
    while spent < seconds:
        if left < limit:
            await broker.put([NewJob(type="t", payload=b"1")] * _FILL)
            left += _FILL
        begun = time.perf_counter()
        jobs = await broker.take(limit=limit, wait=5)
        await broker.ack(jobs)
        spent += time.perf_counter() - begun
        done, left = done + len(jobs), left - len(jobs)
    await broker.close()
    return done / spent


async def waited_for(url: str, *, seconds: float) -> float:
    """Jobs a second, with the putting."""
    stream = secrets.token_hex(4)
    worker, producer, done = _open(url, stream), _open(url, stream), 0
    begun = time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        waiting = asyncio.create_task(worker.take(limit=1, wait=5))
        await asyncio.sleep(0)
        await producer.put([NewJob(type="t", payload=b"1")])
        done += len(jobs := await waiting)
        await worker.ack(jobs)
    await worker.close()
    await producer.close()
    return done / spent


def _open(url: str, stream: str = "") -> Broker:
    return brokers.connect(url, stream=stream or secrets.token_hex(4), timeout=10, lease_seconds=60)


if __name__ == "__main__":
    main()
