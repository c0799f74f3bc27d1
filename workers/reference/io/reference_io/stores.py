"""What stands beside each queue: where results and records go."""

from workerpool import Job, Queue
from workerpool.redis import Redis


class Stores:
    """One connection for each queue that a job came from, made when the first one came."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._redis: dict[str, Redis] = {}
        self._results: dict[str, Queue] = {}

    def in_redis(self, job: Job) -> bool:
        """Whether the job's queue is in a Redis."""
        return self._queue(job).source.system == "redis"

    def of(self, job: Job) -> Redis:
        """The Redis of the job's queue.

        Raises:
            ConfigurationError: it is in another broker.
        """
        if job.queue not in self._redis:
            self._redis[job.queue] = Redis(self._queue(job))
        return self._redis[job.queue]

    def results_of(self, job: Job) -> Queue:
        """The queue `S-results` beside the job's queue."""
        if job.queue not in self._results:
            self._results[job.queue] = self._queue(job).beside("results")
        return self._results[job.queue]

    async def close(self) -> None:
        """Close all connections."""
        for redis in self._redis.values():
            await redis.close()
        for queue in (*self._results.values(), *self._queues.values()):
            await queue.close()

    def _queue(self, job: Job) -> Queue:
        if job.queue not in self._queues:
            self._queues[job.queue] = Queue.from_env(job.queue)
        return self._queues[job.queue]
