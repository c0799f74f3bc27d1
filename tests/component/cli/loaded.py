"""A queue of each broker that has the reference worker `io` at work on it."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import pytest
import pytest_asyncio

from tests.component.sdk.running import serving
from tests.support.kafka import make_topic
from workerpool import Job, Worker
from workerpool_operator.cli.load import Load, Schedule, Target
from workers.reference.io.reference_io.context import lifespan
from workers.reference.io.reference_io.sleep import sleep

JOB = {"seconds": 0.01, "record": True}
_NAMED_BY = {"postgres": "QUEUE", "rabbitmq": "QUEUE", "kafka": "TOPIC"}


class Place:
    """A queue that nobody has used yet, by its address."""

    def __init__(self, kind: str, url: str, stream: str) -> None:
        self.kind, self.url, self.stream = kind, url, stream

    def load(self, schedule: Schedule, *, type: str = "sleep", patience: float = 60.0, **payload: object) -> Load:  # noqa: A002
        """Jobs for it; of type `sleep` such as the command makes them."""
        body = {**JOB, **payload} if type == "sleep" else payload
        target = Target(url=self.url, stream=self.stream, type=type, payload=body)
        return Load(target=target, schedule=schedule, patience_seconds=patience)

    @contextlib.asynccontextmanager
    async def worked_on(self) -> AsyncIterator[Worker]:
        """By the reference worker, four jobs at a time, and a handler of somebody's own, `own`."""
        env = {
            # A pool's worker refuses a queue that no other machine can reach.
            "WORKERPOOL_NAME": "" if self.kind == "sqlite" else "pool",
            "WORKERPOOL_POD": "pod-1",
            "WORKERPOOL_NODE": "node-1",
            "MAX_WORKERS": "4",
            "QUEUE_MAIN_URL": self.url,
            f"QUEUE_MAIN_{_NAMED_BY.get(self.kind, 'STREAM')}": self.stream,
        }
        with patch.dict(os.environ, env):
            worker = Worker(lifespan=lifespan, health_port=0, metrics_port=0)
            worker.job("sleep", timeout=20)(sleep)

            @worker.job("own")
            async def own(job: Job) -> None:
                """Tells nobody."""

            async with serving(worker):
                yield worker


@pytest_asyncio.fixture(
    params=[
        "sqlite",
        pytest.param("redis", marks=pytest.mark.redis),
        "nats",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
async def place(request: pytest.FixtureRequest, tmp_path: Path, redis_stream: str) -> Place:
    """On each broker in turn."""
    kind: str = request.param
    url = f"sqlite:///{tmp_path}/jobs.db" if kind == "sqlite" else request.getfixturevalue(f"{kind}_server").url
    if kind == "kafka":
        for topic in (redis_stream, f"{redis_stream}-results"):
            await make_topic(url, topic)
    return Place(kind, url, "" if kind == "sqlite" else redis_stream)
