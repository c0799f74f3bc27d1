"""taskiq with taskiq-redis' streams: acknowledged when done, and claimed from a worker that is gone."""

import jobs
from taskiq import SimpleRetryMiddleware
from taskiq_redis import RedisStreamBroker

from workerpool.adapters.taskiq import install

broker = RedisStreamBroker(
    jobs.URL,
    consumer_id="0",
    xread_count=jobs.SLOTS,
    idle_timeout=jobs.ABANDONED_SECONDS * 1000,
    unacknowledged_lock_timeout=5,
)
broker.add_middlewares(SimpleRetryMiddleware(default_retry_count=3))
install(broker, **jobs.PORTS)


@broker.task(task_name="work")
async def work(job: str, seconds: float) -> None:
    """A job that takes a while."""
    await jobs.work_async(job, seconds)


@broker.task(task_name="flaky", retry_on_error=True)
async def flaky(job: str) -> None:
    """Fails at its first attempt."""
    jobs.flaky(job)


async def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one."""
    if kind == "work":
        await work.kiq(job, seconds)
    else:
        await flaky.kiq(job)


if __name__ == "__main__":
    jobs.produce(enqueue)
