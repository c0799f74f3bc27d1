"""Celery on Redis, acknowledged late; what a killed worker held comes again when its `visibility_timeout` is over."""

import jobs
from celery import Celery

from workerpool.adapters.celery import install

app = Celery("jobs", broker=jobs.URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": jobs.ABANDONED_SECONDS, "unacked_restore_throttle": 1},
    worker_concurrency=jobs.SLOTS,
    broker_connection_retry_on_startup=True,
)
install(app, **jobs.PORTS)


@app.task(name="work")
def work(job: str, seconds: float) -> None:
    """A job that takes a while."""
    jobs.work(job, seconds)


@app.task(name="flaky", autoretry_for=(jobs.FlakyError,), default_retry_delay=0, retry_backoff=False)
def flaky(job: str) -> None:
    """Fails at its first attempt."""
    jobs.flaky(job)


def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one."""
    if kind == "work":
        work.delay(job, seconds)
    else:
        flaky.delay(job)


if __name__ == "__main__":
    jobs.produce(enqueue)
