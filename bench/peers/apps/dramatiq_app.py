"""Dramatiq: acknowledged when done; what a worker without a heartbeat held is put back by some of the commands."""

import asyncio
import time

import dramatiq
import jobs
from dramatiq.brokers.redis import RedisBroker
from produce import produce

# Commands of a million that look for dead workers: one in ten. By default, one in a thousand, an idle worker, which
# sends about one a second, would take a quarter of an hour.
LOOK_FOR_THE_DEAD = 100_000

dramatiq.set_broker(
    RedisBroker(
        url=jobs.URL,
        heartbeat_timeout=jobs.REDELIVERY_SECONDS * 1000,
        maintenance_chance=LOOK_FOR_THE_DEAD,
    )
)


@dramatiq.actor
def noop(due: float | None) -> None:
    """Nothing."""
    jobs.started(due)


@dramatiq.actor
def io10ms(due: float | None) -> None:
    """Wait as for a fast service."""
    jobs.started(due)
    time.sleep(jobs.IO_SECONDS)


@dramatiq.actor
def probe(due: float | None) -> None:  # noqa: ARG001
    """Be killed."""
    time.sleep(jobs.probe_seconds())


ACTORS = {"noop": noop, "io10ms": io10ms, "probe": probe}


async def enqueue(name: str, due: float | None) -> None:
    """Its producer is synchronous."""
    ACTORS[name].send(due)


if __name__ == "__main__":
    asyncio.run(produce(enqueue))
