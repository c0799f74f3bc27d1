"""What keeps a queue in shape says when it cannot. The clock is looptime's."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from workerpool.broker import BadAnswer, BrokerUnavailable
from workerpool.broker._memory import MemoryBroker
from workerpool.broker._memory_store import MemoryStore
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.upkeep import maintain

pytestmark = pytest.mark.looptime


class Broker(MemoryBroker):
    """Its upkeep ends as told; nothing else is wrong with it."""

    def __init__(self, ends: list[Exception | None]) -> None:
        super().__init__(MemoryStore(), lease_seconds=60)
        self._ends: Iterator[Exception | None] = iter(ends)
        self.over = asyncio.Event()

    async def maintain(self) -> float:
        try:
            end = next(self._ends)
        except StopIteration:
            self.over.set()
            return 60.0
        if end is not None:
            raise end
        return 1.0


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, f"{fields['queue']}: {fields['error']}: {fields['detail']}"))

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields["queue"]))


async def test_a_spell_of_failures_is_told_once_and_its_end() -> None:
    full, wrong = BrokerUnavailable("full"), BadAnswer("wrong")
    broker, log = Broker([None, full, full, full, wrong, wrong, None, None, full]), Log()
    task = asyncio.create_task(maintain("main", broker, Comeback(broker), log))
    await broker.over.wait()
    task.cancel()
    cannot, again = "cannot keep the queue in shape", ("the queue is kept in shape again", "main")
    assert log.lines == [
        (cannot, "main: BrokerUnavailable: full"),
        (cannot, "main: BadAnswer: wrong"),
        again,
        (cannot, "main: BrokerUnavailable: full"),
        again,
    ]
