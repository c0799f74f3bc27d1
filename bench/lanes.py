"""What a lane that stands still costs the jobs of another lane, in one worker on a Redis of its own on this machine.

The queue is mixed: behind every ten jobs of the io lane stands one of the thread lane, all of whose slots are taken by
jobs that do not end. Runs with and without such jobs take turns; the figures are medians.

    uv run python -m bench.lanes [--json FILE] [--runs 7] [--jobs 400]
"""

import argparse
import asyncio
import logging
import statistics
import threading
import time
from pathlib import Path

from bench.figures import tell
from bench.worker import redis_server
from workerpool import Job, JobSpec, Queue, Worker

SLOTS = 5
SECONDS = 0.05
"""Of a job of the io lane."""


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=400)
    arguments = parser.parse_args()
    logging.getLogger("workerpool").setLevel(logging.ERROR)
    with redis_server() as url:
        figures = asyncio.run(measure(url, runs=arguments.runs, jobs=arguments.jobs))
    tell(figures, arguments.json)


async def measure(url: str, *, runs: int, jobs: int) -> dict[str, float]:
    """Seconds for the jobs of the io lane, alone and beside the lane that stands still."""
    alone, beside = [], []
    for number in range(runs):
        alone.append(await run(url, f"alone-{number}", jobs=jobs, between=0))
        beside.append(await run(url, f"beside-{number}", jobs=jobs, between=1))
    figures = {"alone_seconds": statistics.median(alone), "beside_seconds": statistics.median(beside)}
    return figures | {"slowdown": figures["beside_seconds"] / figures["alone_seconds"] - 1}


async def run(url: str, stream: str, *, jobs: int, between: int) -> float:
    """Seconds for so many jobs of the io lane, with so many of the other one behind every ten."""
    queue, over = Queue.connect(url, stream=stream), threading.Event()
    slots = {"io": SLOTS, "thread": SLOTS}
    worker = Worker(queue, health_port=0, metrics_port=0, slots=slots, env={"MAX_WORKERS": str(2 * SLOTS)})
    done, stuck = asyncio.Semaphore(0), threading.Semaphore(0)

    @worker.job("work")
    async def work(job: Job) -> None:  # noqa: ARG001
        await asyncio.sleep(SECONDS)
        done.release()

    @worker.job("stand-still", kind="thread")
    def stand_still(job: Job) -> None:  # noqa: ARG001
        stuck.release()
        over.wait()

    serving = asyncio.create_task(worker.serve())
    await queue.enqueue_many([JobSpec("stand-still")] * SLOTS)
    for _ in range(SLOTS):
        await asyncio.to_thread(stuck.acquire)
    mixed = [*[JobSpec("work")] * 10, *[JobSpec("stand-still")] * between] * (jobs // 10)
    began = time.perf_counter()
    await queue.enqueue_many(mixed)
    for _ in range(jobs // 10 * 10):
        await done.acquire()
    took = time.perf_counter() - began
    over.set()
    worker.stop()
    await serving
    await queue.close()
    return took


if __name__ == "__main__":
    main()
