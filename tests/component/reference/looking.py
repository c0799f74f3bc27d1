"""What became of jobs, seen in Redis."""

from tests.support.redis import RedisServer
from workerpool import Queue


async def finished(queue: Queue) -> bool:
    """Whether the queue holds no job that will be run."""
    depth = await queue.depth()
    return depth.unfinished == 0


def dead(server: RedisServer, stream: str) -> list[str]:
    """What the dead letters of a stream say."""
    return sorted(fields[b"dead.error"].decode() for _, fields in server.client().xrange(f"{{{stream}}}:dead"))


def repeat(server: RedisServer, stream: str, job_type: str, payload: str, *, job_id: str) -> None:
    """Put a job as if it came again: the queue, which knows its id, does not get to drop it."""
    server.client().xadd(stream, {"type": job_type, "payload": payload, "id": job_id})
