"""RQ, with a process for each job."""

import jobs
import redis
from rq import Queue, Retry

from workerpool.adapters.rq import SimpleWorker, SpawnWorker, Worker

REDIS_URL = jobs.URL
"""A setting of RQ's: `--config rq_app`."""


class Forking(Worker):
    """As `-w workerpool.adapters.rq.Worker`, on the test's ports."""

    health_port, metrics_port = jobs.PORTS["health_port"], jobs.PORTS["metrics_port"]


class Spawning(SpawnWorker):
    """As `-w workerpool.adapters.rq.SpawnWorker`."""

    health_port, metrics_port = jobs.PORTS["health_port"], jobs.PORTS["metrics_port"]


class Simple(SimpleWorker):
    """As `-w workerpool.adapters.rq.SimpleWorker`."""

    health_port, metrics_port = jobs.PORTS["health_port"], jobs.PORTS["metrics_port"]


def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one."""
    queue = Queue("jobs", connection=redis.Redis.from_url(jobs.URL))
    if kind == "work":
        queue.enqueue(jobs.work, job, seconds)
    else:
        queue.enqueue(jobs.flaky, job, retry=Retry(max=1))


if __name__ == "__main__":
    jobs.produce(enqueue)
