"""RQ, with a process for each job; what a killed worker held comes again, as each job has retries."""

from typing import Any

import jobs
import redis
from rq import Queue, Retry

from workerpool.adapters.rq import SimpleWorker, SpawnWorker, Worker

REDIS_URL = jobs.URL
"""A setting of RQ's: `--config rq_app`."""


class _Hasty:
    """Jobs are taken for abandoned sooner than after RQ's minute, so that a test need not wait for it."""

    def get_heartbeat_ttl(self, *_: Any, **__: Any) -> int:
        """Seconds."""
        return jobs.ABANDONED_SECONDS


class Forking(_Hasty, Worker):
    """As `-w workerpool.adapters.rq.Worker`, on the test's ports."""

    health_port, metrics_port = jobs.PORTS["health_port"], jobs.PORTS["metrics_port"]


class Spawning(_Hasty, SpawnWorker):
    """As `-w workerpool.adapters.rq.SpawnWorker`."""

    health_port, metrics_port = jobs.PORTS["health_port"], jobs.PORTS["metrics_port"]


class Simple(_Hasty, SimpleWorker):
    """As `-w workerpool.adapters.rq.SimpleWorker`."""

    health_port, metrics_port = jobs.PORTS["health_port"], jobs.PORTS["metrics_port"]


def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one."""
    queue = Queue("jobs", connection=redis.Redis.from_url(jobs.URL))
    if kind == "work":
        queue.enqueue(jobs.work, job, seconds, retry=Retry(max=3))
    else:
        queue.enqueue(jobs.flaky, job, retry=Retry(max=3))


if __name__ == "__main__":
    jobs.produce(enqueue)
