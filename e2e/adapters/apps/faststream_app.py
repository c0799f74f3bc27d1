"""FastStream on a stream: one subscriber for new messages, one that claims what others left pending."""

import uuid
from contextlib import suppress
from typing import Any

import jobs
import redis
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub

from workerpool.adapters.faststream import install

STREAM, GROUP = "jobs", "workers"
broker = RedisBroker(jobs.URL)
app = FastStream(broker)
install(app, **jobs.PORTS)
me = uuid.uuid4().hex
new = StreamSub(STREAM, group=GROUP, consumer=me)
abandoned = StreamSub(
    STREAM,
    group=GROUP,
    consumer=f"{me}-claims",
    min_idle_time=jobs.ABANDONED_SECONDS * 1000,
    polling_interval=1000,
)


@broker.subscriber(stream=new, max_workers=jobs.SLOTS, ack_policy=AckPolicy.NACK_ON_ERROR)
@broker.subscriber(stream=abandoned, ack_policy=AckPolicy.NACK_ON_ERROR)
async def handle(message: dict[str, Any]) -> None:
    """A stream has one handler for all of its messages."""
    if message["kind"] == "work":
        await jobs.work_async(message["job"], message["seconds"])
    else:
        jobs.flaky(message["job"])


async def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one."""
    await broker.connect()
    await broker.publish({"kind": kind, "job": job, "seconds": seconds}, stream=STREAM)


def make_group() -> None:
    """A worker would make it for what comes after it, and a pool may be at zero now."""
    with suppress(redis.ResponseError):  # it is there
        redis.Redis.from_url(jobs.URL).xgroup_create(STREAM, GROUP, id="0", mkstream=True)


if __name__ == "__main__":
    make_group()
    jobs.produce(enqueue)
