"""FastStream on a stream: one subscriber for new messages, one that claims what others left pending.

Redis 8.4 and newer can do both in one read (`claim_min_idle_time`); below it, two subscribers are what it offers.
"""

import asyncio
import uuid
from typing import Any

import jobs
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub
from produce import produce
from redis.asyncio import Redis
from redis.exceptions import ResponseError

STREAM, GROUP = "jobs", "workers"
broker = RedisBroker(jobs.URL)
app = FastStream(broker)
me = uuid.uuid4().hex
new = StreamSub(STREAM, group=GROUP, consumer=me, max_records=jobs.SLOTS)
abandoned = StreamSub(
    STREAM,
    group=GROUP,
    consumer=f"{me}-claims",
    min_idle_time=jobs.REDELIVERY_SECONDS * 1000,
    polling_interval=1000,
)


@broker.subscriber(stream=new, max_workers=jobs.SLOTS, ack_policy=AckPolicy.NACK_ON_ERROR)
@broker.subscriber(stream=abandoned, ack_policy=AckPolicy.NACK_ON_ERROR)
async def handle(message: dict[str, Any]) -> None:
    """A stream has one handler for all of its messages."""
    match message["name"]:
        case "noop":
            jobs.started(message["due"])
        case "io10ms":
            jobs.started(message["due"])
            await asyncio.sleep(jobs.IO_SECONDS)
        case "probe":
            await asyncio.sleep(jobs.probe_seconds())


async def enqueue(name: str, due: float | None) -> None:
    """Publish a message."""
    await broker.publish({"name": name, "due": due}, stream=STREAM)


async def main() -> None:
    """Produce. The group is made first: one that a subscriber makes begins with what comes after it."""
    async with Redis.from_url(jobs.URL) as redis:
        try:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
    await broker.connect()
    await produce(enqueue)
    await broker.stop()


if __name__ == "__main__":
    asyncio.run(main())
