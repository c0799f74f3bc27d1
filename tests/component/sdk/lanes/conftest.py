"""Real worker processes with handlers in every lane."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.support.redis import RedisServer
from tests.support.workers import WorkerProcess
from workerpool import JobSpec, Queue

PROGRAM = Path(__file__).with_name("lanes_program.py")


class Lanes:
    """Workers on one queue, and what their jobs recorded."""

    def __init__(self, server: RedisServer, stream: str, folder: Path) -> None:
        self.server, self.stream, self._folder = server, stream, folder
        self.workers: list[WorkerProcess] = []
        self.queue = Queue.connect(server.url, stream=stream)

    def start(self, **env: str) -> WorkerProcess:
        number = len(self.workers)
        contract = {
            "WORKERPOOL_NAME": "pool",
            "WORKERPOOL_VERSION": "v1",
            "WORKERPOOL_POD": f"pod-{number}",
            "QUEUE_MAIN_URL": self.server.url,
            "QUEUE_MAIN_STREAM": self.stream,
            "LEASE_SECONDS": "60",
            "MAX_WORKERS": "12",
            "DRAIN_TIMEOUT": "20",
            "HEARTBEAT_INTERVAL": "0.2",
            "BACKOFF_SECONDS": "0.01",
            "RECORD_URL": self.server.url,
            "RECORD_KEY": self.stream,
        }
        worker = WorkerProcess(PROGRAM, contract | env, log=self._folder / f"worker-{number}.log")
        self.workers.append(worker)
        return worker.wait_ready()

    async def enqueue(self, type_: str, name: str, argument: Any, *, job_id: str = "", count: int = 1) -> None:
        specs = [JobSpec(type_, [name, argument], job_id=job_id) for _ in range(count)]
        await self.queue.enqueue_many(specs, timeout=30)

    def recorded(self, what: str) -> dict[str, int]:
        counts = self.server.client().hgetall(f"{self.stream}:{what}")
        return {job.decode(): int(count) for job, count in counts.items()}

    def dead(self) -> list[dict[str, str]]:
        letters = self.server.client(decode_responses=True).xrange(f"{{{self.stream}}}:dead")
        return [fields for _, fields in letters]

    async def finished(self) -> bool:
        depth = await self.queue.depth()
        return depth.waiting + depth.in_flight + depth.delayed == 0


def figure(worker: WorkerProcess, name: str, **labels: str) -> float:
    """A worker's figure, summed over what the labels leave open."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = worker.get("metrics", "/metrics")[1].splitlines()
    values = [
        float(line.rpartition(" ")[2])
        for line in lines
        if line.partition("{")[0] == name and all(one in line for one in wanted)
    ]
    assert values, f"no {name} with {labels}"
    return sum(values)


def logged(worker: WorkerProcess) -> list[dict[str, Any]]:
    """The lines that a worker and its processes logged."""
    return [json.loads(line) for line in worker.output.splitlines() if line.startswith("{")]


@pytest_asyncio.fixture
async def lanes(redis_server: RedisServer, redis_stream: str, tmp_path: Path) -> AsyncIterator[Lanes]:
    made = Lanes(redis_server, redis_stream, tmp_path)
    yield made
    for worker in made.workers:
        worker.end()
    await made.queue.close()
