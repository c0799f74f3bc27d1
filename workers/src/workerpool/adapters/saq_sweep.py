"""What SAQ's sweep puts back: jobs that are abandoned, and none that is being taken at this moment.

SAQ moves a job to the list of those at work, and marks it as active in a second step. Its sweep, which each worker does
at its start and then once a minute, has whatever it finds in between run a second time. A pool's worker starts where
jobs wait, so it would sweep while it takes its first ones. Here the sweep looks twice, and puts back what nobody has
changed in between.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

LOOK_AGAIN_SECONDS: Final = 10.0
"""Longer than a worker takes from one of these steps to the other."""
_SCRIPT: Final = "_cleanup_script"
"""Of SAQ's queue: what its sweep reads the jobs at work by, made at its first use."""


def look_twice(queue: Any, over: asyncio.Event) -> bool:
    """Make the sweeps of this `RedisQueue` do so; false where this version of SAQ has another way to sweep.

    `over`: set when the worker drains; a sweep that waits to look again then puts nothing back.
    """
    if not hasattr(queue, _SCRIPT):
        return False
    setattr(queue, _SCRIPT, Sweep(queue, over))
    return True


class Sweep:
    """In place of SAQ's script, with its arguments and its answer."""

    def __init__(self, queue: Any, over: asyncio.Event, *, seconds: float = LOOK_AGAIN_SECONDS) -> None:
        self._queue = queue
        self._over = over
        self._seconds = seconds

    async def __call__(
        self, *, keys: Sequence[str], args: Sequence[int], client: Any
    ) -> Sequence[tuple[bytes, bytes | None]]:
        """Ids and contents of jobs to put back; none, where another worker has swept less than `args[0]` seconds ago.

        `keys`: of that lock, and of the list of jobs at work.
        """
        lock, at_work = keys
        if not await client.set(lock, 1, ex=args[0], nx=True):
            return []
        suspects = await self._look(client, at_work)
        if not suspects or await self._is_over():
            return []
        now = await self._look(client, at_work)
        return [(job_id, content) for job_id, content in now.items() if suspects.get(job_id, b"") == content]

    async def _look(self, client: Any, at_work: str) -> Mapping[bytes, bytes | None]:
        """Those at work that are not active, are past their time, or have no content any more."""
        ids = await client.lrange(at_work, 0, -1)
        contents = await client.mget(ids) if ids else []
        return {job_id: content for job_id, content in zip(ids, contents, strict=True) if self._is_suspect(content)}

    def _is_suspect(self, content: bytes | None) -> bool:
        job = self._queue.deserialize(content)
        return job is None or job.status.value != "active" or job.stuck

    async def _is_over(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._over.wait()
        return self._over.is_set()
