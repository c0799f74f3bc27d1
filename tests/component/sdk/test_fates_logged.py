"""What a worker logs of how jobs ended, on a real Redis: by that `wpool job status` knows it."""

import logging
from typing import Any

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue
from workerpool.telemetry import fates

pytestmark = [pytest.mark.component, pytest.mark.redis]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any, Any]]:
    """Event, job and attempt of each line about a job."""
    found = [record for record in caplog.records if hasattr(record, "job_id")]
    return [(record.getMessage(), record.__dict__["job_id"], record.__dict__.get("attempt")) for record in found]


async def test_a_job_that_failed_says_when_it_is_done(
    redis_server: RedisServer, redis_stream: str, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """So that what was logged last of it is not for ever that it failed. One that goes well says nothing."""
    caplog.set_level(logging.INFO, logger="workerpool")
    worker, done = make_worker(environment(redis_server, redis_stream, BACKOFF_SECONDS="0.01")), []

    @worker.job("resize")
    async def resize(job: Job) -> None:
        if job.id == "shaky" and job.attempt == 1:
            raise ValueError("not yet")
        done.append(job.id)

    async with serving(worker):
        await queue.enqueue("resize", job_id="fine")
        await queue.enqueue("resize", job_id="shaky")
        await until(lambda: any(event == fates.DONE for event, _, _ in told(caplog)), what="the line of its end")
    assert told(caplog) == [(fates.FAILED, "shaky", 1), (fates.DONE, "shaky", 2)]
    assert sorted(done) == ["fine", "shaky"]


async def test_a_job_that_is_given_up_says_so(
    redis_server: RedisServer, redis_stream: str, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(environment(redis_server, redis_stream, BACKOFF_SECONDS="0.01", MAX_ATTEMPTS="1"))

    @worker.job("resize")
    async def resize(_: Job) -> None:
        raise ValueError("never")

    async with serving(worker):
        await queue.enqueue("resize", job_id="bad")
        await until(lambda: told(caplog), what="the line of its end")
    assert told(caplog) == [(fates.BURIED, "bad", 1)]
