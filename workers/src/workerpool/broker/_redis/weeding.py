"""Jobs that are not to be run are dead-lettered as somebody meets them; the rules are those of `broker/_shed.py`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from workerpool.broker._redis import scripts
from workerpool.broker._redis.keys import Keys
from workerpool.broker._redis.link import RedisLink
from workerpool.broker._shed import TEXTS, spoiled
from workerpool.broker._types import DeadLetter, DeathReason, Priority, Taken

_CHUNK: Final = 500
"""Jobs per script call: longer ones would hold up everyone else's commands."""
_MOST_CHUNKS: Final = 20


class Weeding:
    """Of one consumer.

    Attributes:
        after: How long jobs may wait, seconds by class of priority.
        dropped: How many were dead-lettered since somebody looked.
    """

    def __init__(self, commands: RedisLink, keys: Keys, *, stream: str, group: str, consumer: str) -> None:
        self._commands = commands
        self._keys = (stream, keys.stats)
        self._who = (group, consumer)
        self.after: Mapping[str, float] = {}
        self.dropped: Counter[DeathReason] = Counter()

    @property
    def arguments(self) -> list[int]:
        """For scripts: how many ms each class may wait, -1 for ever."""
        return [round(1000 * self.after[one]) if one in self.after else -1 for one in Priority]

    def letters(self, jobs: Sequence[Taken]) -> list[DeadLetter]:
        """For those that are not to be run. They have not begun, so this attempt does not count."""
        if not self.after and not any(job.expired for job in jobs):
            return []
        return [
            DeadLetter(replace(job, attempt=job.attempt - 1), reason, TEXTS[reason], worker=self._who[1])
            for job in jobs
            if (reason := spoiled(job, self.after)) is not None
        ]

    def count(self, expired: int, shed: int) -> int:
        """So many were dropped by a script. Returns how many these are."""
        self.dropped += Counter({DeathReason.EXPIRED: int(expired), DeathReason.SHED: int(shed)})
        return int(expired) + int(shed)

    async def sweep(self) -> None:
        """Get rid of those that stand next in the stream.

        Raises:
            BrokerError: one of its kinds.
        """
        for _ in range(_MOST_CHUNKS):
            dropped = await self._commands.run(scripts.SWEEP, self._keys, *self._who, _CHUNK, *self.arguments)
            if self.count(*dropped) < _CHUNK:
                return
