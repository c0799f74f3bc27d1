"""Dramatiq on Redis: acknowledged when done; what a worker without a heartbeat held is put back by another one."""

import dramatiq
import jobs
from dramatiq.brokers.redis import RedisBroker

from workerpool.adapters.dramatiq import install

# Commands of a million that look for dead workers: one in ten, so that a test need not wait for a thousand of them.
LOOK_FOR_THE_DEAD = 100_000

broker = RedisBroker(url=jobs.URL, heartbeat_timeout=5_000, maintenance_chance=LOOK_FOR_THE_DEAD)
dramatiq.set_broker(broker)
install(broker, **jobs.PORTS)


@dramatiq.actor
def work(job: str, seconds: float) -> None:
    """A job that takes a while."""
    jobs.work(job, seconds)


@dramatiq.actor(min_backoff=1, max_backoff=1)
def flaky(job: str) -> None:
    """Fails at its first attempt."""
    jobs.flaky(job)


def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one."""
    if kind == "work":
        work.send(job, seconds)
    else:
        flaky.send(job)


if __name__ == "__main__":
    jobs.produce(enqueue)
