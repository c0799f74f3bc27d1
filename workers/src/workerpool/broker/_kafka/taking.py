"""Giving out jobs of the partitions that are ours: first what is due for another attempt, then as they lie."""

import time
from typing import Any, Final

from workerpool.broker._kafka.group import Group
from workerpool.broker._kafka.held import Held
from workerpool.broker._kafka.link import KafkaLink
from workerpool.broker._kafka.names import Names
from workerpool.broker._kafka.part import READ_AHEAD, Part
from workerpool.broker._kafka.wire import taken_from
from workerpool.broker._types import Taken
from workerpool.errors import NothingAssigned

_MOST: Final = 1_000
"""Jobs per take."""
_FIRST_LOOK_SECONDS: Final = 0.3
"""A take that does not wait has this time for what Kafka has already."""


class Taking:
    """Of one consumer."""

    def __init__(self, link: KafkaLink, names: Names, group: Group, held: Held) -> None:
        self._link = link
        self._names = names
        self._group = group
        self._held = held
        self._taking = False
        self._interrupted = False

    def interrupt(self) -> None:
        """End the wait of a take in progress."""
        self._interrupted = self._taking
        self._group.changed.set()

    async def take(self, limit: int, wait: float) -> list[Taken]:
        """Up to `limit` jobs; waits up to `wait` seconds for the first one.

        Raises:
            BrokerError: one of its kinds. Nothing was given out.
        """
        self._taking, self._interrupted = True, False
        try:
            async with self._link.calling(wait=wait + _FIRST_LOOK_SECONDS):
                await self._group.settled()
                found = await self._look(min(limit, _MOST), wait)
            if not found and wait > 0 and not self._interrupted:
                await self._explain()
        finally:
            self._taking = False
        return found

    async def _look(self, limit: int, wait: float) -> list[Taken]:
        began = time.monotonic()
        while not self._interrupted:
            await self._group.settled()
            await self._group.came()
            picked = self._pick(limit)
            if picked:
                found = await self._give_out(picked)
                if found:
                    return found
                continue
            spent = time.monotonic() - began
            left = max(wait, 0.0 if self._group.caught_up() else _FIRST_LOOK_SECONDS) - spent
            if left <= 0:
                break
            await self._group.news(self._read(limit), seconds=self._until_due(left))
        return []

    def _read(self, limit: int) -> Any:
        hungry = [part for part in self._group.parts.values() if part.hungry]
        most = READ_AHEAD if any(part.timed for part in hungry) else limit
        return self._group.read([part.partition for part in hungry], most=most)

    def _until_due(self, left: float) -> float:
        now = time.time()
        times = [due - now for part in self._group.parts.values() if (due := part.next_due()) is not None]
        return max(0.0, min([left, *times]))

    def _pick(self, limit: int) -> list[tuple[Part, Any]]:
        """Those that are due, from all partitions in turn."""
        now = time.time()
        parts = sorted(self._group.parts.values(), key=lambda part: not part.timed)
        picked: list[tuple[Part, Any]] = []
        while len(picked) < limit:
            before = len(picked)
            for part in parts:
                if len(picked) < limit and part.due(now):
                    picked.append((part, part.pop()))
            if len(picked) == before:
                break
        return picked

    async def _give_out(self, picked: list[tuple[Part, Any]]) -> list[Taken]:
        """Say to Kafka that they are begun. Who has lost their partition is told by that, and nothing is given out."""
        before = [part.ledger.deliveries(record.offset) for part, record in picked]
        for part, record in picked:
            part.ledger.begin(record.offset)
        try:
            await self._group.commit({part for part, _ in picked})
        except BaseException:
            for part, record in reversed(picked):
                part.ledger.unbegin(record.offset)
                part.put_back(record)
            raise
        now = time.time()
        found = []
        for (part, record), deliveries in zip(picked, before, strict=True):
            if self._group.parts.get(part.partition) is part:
                token = self._held.token()
                self._held.add(token, part, record)
                found.append(taken_from(record, token=token, deliveries=deliveries, now=now))
        return found

    async def _explain(self) -> None:
        """Nothing came: that is no news from a Kafka that answers, and that has something to give to us.

        Raises:
            NothingAssigned: it has not.
        """
        async with self._link.calling():
            topic = await self._link.topic(self._names.topic)
        parts = [part for part in self._group.parts.values() if not part.timed]
        if not parts:
            count = len(topic.leaders)
            raise NothingAssigned(
                f"the {count} partitions of topic '{self._names.topic}' are all other workers': it needs more of them"
            )
        if all(part.held_up for part in parts):
            raise NothingAssigned("the first unfinished job of each partition has to end before more are begun")
