"""The Redis of each queue: where results and records go."""

from workerpool import Job, Queue
from workerpool.redis import Redis


class Stores:
    """One connection for each queue that a job came from, made when the first one came."""

    def __init__(self) -> None:
        self._by_queue: dict[str, tuple[Queue, Redis]] = {}

    def of(self, job: Job) -> Redis:
        """The Redis of the job's queue."""
        if job.queue not in self._by_queue:
            queue = Queue.from_env(job.queue)
            self._by_queue[job.queue] = (queue, Redis(queue))
        return self._by_queue[job.queue][1]

    async def close(self) -> None:
        """Close all connections."""
        for queue, redis in self._by_queue.values():
            await redis.close()
            await queue.close()
