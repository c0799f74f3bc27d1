"""What one worker does on a Redis of its own on this machine: how soon it starts a job, and how many no-ops it does.

| Figure | Means |
|---|---|
| `idle_start_*_seconds` | from just before the enqueue until the handler runs, worker idle, one job at a time |
| `jobs_per_core_second` | no-op jobs acknowledged per second of the worker's own CPU time |
| `jobs_per_second` | the same per second of the clock, with producer and Redis on the same machine |

    uv run python -m bench.worker [--json FILE] [--jobs 100000] [--slots 200]
"""

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import tell
from e2e.support.redis_server import RedisServer
from workerpool import Job, JobSpec, Queue, Worker

IDLE_JOBS = 300
PAUSE_SECONDS = 0.02


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=200)
    arguments = parser.parse_args()
    logging.getLogger("workerpool").setLevel(logging.ERROR)
    with redis_server() as url:
        figures = asyncio.run(idle_start(url)) | asyncio.run(throughput(url, arguments.jobs, arguments.slots))
    tell(figures, arguments.json)


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of our own that keeps an append-only file, synced every second, as one with jobs in it should."""
    every_second = {"appendfsync": "everysec"}
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder), options=every_second) as server:
        yield server.url


async def idle_start(url: str) -> dict[str, float]:
    """Seconds from enqueue to start of jobs that find the worker idle."""
    queue, started = Queue.connect(url, stream="idle"), asyncio.Queue[float]()
    worker = Worker(queue, health_port=0, metrics_port=0, env={})

    @worker.job("mark")
    async def mark(job: Job) -> None:  # noqa: ARG001
        started.put_nowait(time.perf_counter())

    serving = asyncio.create_task(worker.serve())
    took = []
    for _ in range(IDLE_JOBS):
        before = time.perf_counter()
        await queue.enqueue("mark")
        took.append(await started.get() - before)
        await asyncio.sleep(PAUSE_SECONDS)
    worker.stop()
    await serving
    await queue.close()
    percentiles = statistics.quantiles(took[10:], n=100)
    return {"idle_start_p50_seconds": percentiles[49], "idle_start_p95_seconds": percentiles[94]}


async def throughput(url: str, jobs: int, slots: int) -> dict[str, float]:
    """No-ops of a full queue."""
    queue, done, last = Queue.connect(url, stream="noop"), 0, asyncio.Event()
    worker = Worker(queue, health_port=0, metrics_port=0, env={"MAX_WORKERS": str(slots)})

    @worker.job("noop")
    async def noop(job: Job) -> None:  # noqa: ARG001
        nonlocal done
        done += 1
        if done == jobs:
            last.set()

    await queue.enqueue_many([JobSpec("noop")] * jobs)
    cpu, clock = time.process_time(), time.perf_counter()
    serving = asyncio.create_task(worker.serve())
    await last.wait()
    worker.stop()
    await serving  # acknowledged, all of them
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    depth = await queue.depth()
    await queue.close()
    if depth.unfinished or done != jobs:
        raise SystemExit(f"{depth.unfinished} jobs were not done")
    return {"jobs_per_core_second": jobs / cpu, "jobs_per_second": jobs / clock}


if __name__ == "__main__":
    main()
