"""Real worker processes with handlers in every lane."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest_asyncio

from tests.support.redis import RedisServer
from tests.support.workers import WorkerProcess, Workers
from workerpool import JobSpec


class Lanes(Workers):
    """Workers on one queue, and what their jobs recorded."""

    program = Path(__file__).with_name("lanes_program.py")
    contract = MappingProxyType({"LEASE_SECONDS": "60", "MAX_WORKERS": "12", "BACKOFF_SECONDS": "0.01"})

    def start(self, **env: str) -> WorkerProcess:
        return super().start(**env).wait_ready()

    async def enqueue(self, type_: str, name: str, argument: Any, *, job_id: str = "", count: int = 1) -> None:
        specs = [JobSpec(type_, [name, argument], job_id=job_id) for _ in range(count)]
        await self.queue.enqueue_many(specs, timeout=30)


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
    """The lines that a worker and its processes logged, but for one that is being written."""
    lines = worker.output.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def let_go(lanes: Lanes) -> None:
    """Jobs that wait for this may end."""
    lanes.server.client().set(f"{lanes.stream}:go", 1)


@pytest_asyncio.fixture
async def lanes(redis_server: RedisServer, redis_stream: str, tmp_path: Path) -> AsyncIterator[Lanes]:
    made = Lanes(redis_server, redis_stream, tmp_path)
    yield made
    await made.end()
