"""Telling Redis how jobs ended.

One that is full (`maxmemory`, `noeviction`) refuses what takes memory, and what was done is freed only as jobs end. So
each end has a form that needs none, or little: a job that goes back or is to be retried waits for the end of its lease
instead, and a dead letter says less.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from workerpool.broker._redis import scripts
from workerpool.broker._redis.chunks import chunks
from workerpool.broker._redis.held import Held
from workerpool.broker._redis.keys import Keys
from workerpool.broker._redis.link import FullError, RedisLink
from workerpool.broker._types import DeadLetter, Retry, Taken

_LET_OTHERS_SECONDS: Final = 1.0
"""After which a job that went back to a full Redis is taken again: it would come before all others at once."""
_BRIEF: Final = 200
"""Characters of an error in a dead letter when Redis is full."""


class _Move(NamedTuple):
    """A script, and what it is told of a job."""

    script: scripts.Script
    keys: tuple[str, ...]
    head: tuple[Any, ...]
    fields: Callable[[Taken], tuple[Any, ...]]


class Settling:
    """Of one consumer."""

    def __init__(
        self,
        commands: RedisLink,
        keys: Keys,
        *,
        stream: str,
        who: tuple[str, str],
        held: Held,
        lease: Callable[[], float],
    ) -> None:
        """`who`: group and consumer. `lease`: its seconds, as we announce it."""
        self._commands = commands
        self._keys = keys
        self._stream = stream
        self._who = who
        self._held = held
        self._lease = lease

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """XACK of those that are still ours; it frees memory."""
        keys = (self._stream, self._keys.checkpoints, self._keys.stats)
        return await self._settle(jobs, _Move(scripts.ACK, keys, (), lambda job: (job.token,)))

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Move to the delayed set, with the attempts made so far."""
        delays = {retry.job.token: round(retry.delay * 1000) for retry in retries}

        def fields(job: Taken) -> tuple[Any, ...]:
            return (job.token, delays[job.token], job.attempt)

        keys = (self._stream, self._keys.delayed, self._keys.stats, self._keys.checkpoints)
        jobs = [retry.job for retry in retries]
        release = self._release(lambda job: (*fields(job), 0))
        return await self._settle(jobs, _Move(scripts.RETRY, keys, (), fields), full=release)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Append anew, with the attempts made before this one."""
        keys = (self._stream, self._keys.stats, self._keys.checkpoints)

        def fields(job: Taken) -> tuple[Any, ...]:
            return (job.token, job.attempt - 1, int(job.begun), int(job.redelivered))

        pause = round(_LET_OTHERS_SECONDS * 1000)

        def release(job: Taken) -> tuple[Any, ...]:
            return (job.token, pause, job.attempt - 1, int(job.begun))

        return await self._settle(jobs, _Move(scripts.HAND_BACK, keys, (), fields), full=self._release(release))

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Move to the dead-letter stream, with what is known of the end."""
        by_token = {letter.job.token: letter for letter in letters}

        def fields(job: Taken, *, most: int | None = None) -> tuple[Any, ...]:
            letter = by_token[job.token]
            trace = letter.traceback if most is None else ""
            text = (letter.error[:most], trace, letter.version, letter.worker)
            return (job.token, letter.reason.value, job.attempt, *text)

        keys = (self._stream, self._keys.dead, self._keys.checkpoints, self._keys.stats)
        brief = _Move(scripts.DEAD_WHEN_FULL, keys, (), lambda job: fields(job, most=_BRIEF))
        jobs = [letter.job for letter in letters]
        return await self._settle(jobs, _Move(scripts.DEAD, keys, (), fields), full=brief)

    def _release(self, fields: Callable[[Taken], tuple[Any, ...]]) -> _Move:
        keys = (self._stream, self._keys.leases, self._keys.checkpoints)
        return _Move(scripts.RELEASE, keys, (round(self._lease() * 1000),), fields)

    async def _settle(self, jobs: Sequence[Taken], move: _Move, *, full: _Move | None = None) -> frozenset[str]:
        """`full`: what is done instead when Redis is."""
        lost: set[str] = set()
        for chunk in chunks(jobs):
            try:
                reply = await self._tell(move, chunk)
            except FullError:
                if full is None:
                    raise
                reply = await self._tell(full, chunk)
            lost.update(token.decode() for token in reply)
            self._held.forget(job.token for job in chunk)
        return frozenset(lost)

    async def _tell(self, move: _Move, jobs: Iterable[Taken]) -> Sequence[bytes]:
        flat = [value for job in jobs for value in move.fields(job)]
        reply: Sequence[bytes] = await self._commands.run(move.script, move.keys, *self._who, *move.head, *flat)
        return reply
