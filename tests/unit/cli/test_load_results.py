"""Records in a queue beside the queue, and dead letters that come during a load."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workerpool.broker import Broker, BrokerUnavailable, DeadJob, Depth, Taken
from workerpool_operator.cli.load import results as results_module
from workerpool_operator.cli.load.ledger import Event, Record
from workerpool_operator.cli.load.results import LOOK_SECONDS, DeadWatch, ResultReader, parse


def taken(job_id: str, **said: Any) -> Taken:
    return Taken("token", job_id, "record", json.dumps(said).encode(), 1, 0.0)


@dataclass
class Played:
    """A queue of records whose acknowledgements may be lost, and dead letters."""

    records: list[list[Taken]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    pages: int = 0
    loses_acks: bool = False

    async def take(self, *, limit: int, wait: float) -> list[Taken]:
        return self.records.pop(0) if self.records else []

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        if self.loses_acks:
            raise BrokerUnavailable("away")
        return frozenset()

    async def depth(self) -> Depth:
        return Depth(0, None, None, None, None, len(self.dead))

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        self.pages += 1
        first = int(after) + 1 if after else 0
        return [
            DeadJob(str(number), name, "t", b"", 1, "rejected", "", "", "", "", 0.0)
            for number, name in enumerate(self.dead)
        ][first : first + limit]


def as_broker(played: Played) -> Broker:
    return cast("Broker", played)


def test_a_record_is_read_from_the_payload_of_a_job() -> None:
    job = taken("x", event="start", job="load-1", attempt=1, pod="p", node="n", at=1.5)
    assert parse(job, came_ms=7.0) == Record(Event.START, "load-1", 1500.0, pod="p", node="n", came_ms=7.0)


@pytest.mark.parametrize(
    "payload",
    [b"no", b"[]", b"{}", b'{"event":"start"}', b'{"event":"what","job":"a","at":1}', b'{"event":"start","job":"a"}'],
)
def test_what_is_no_record_is_passed_over(payload: bytes) -> None:
    assert parse(Taken("token", "x", "record", payload, 1, 0.0), came_ms=0.0) is None


async def test_a_record_that_comes_again_counts_once() -> None:
    """Its acknowledgement was lost."""
    record = taken("r-1", event="finish", job="a", at=1)
    played = Played(records=[[], [record], [record], [taken("r-2", event="finish", job="b", at=1)]], loses_acks=True)
    reader = ResultReader(as_broker(played), as_broker(played))
    await reader.begin()
    found = [record.job for _ in range(3) for record in (await reader.next()).records]
    assert found == ["a", "b"]


@pytest.mark.looptime
async def test_new_dead_letters_are_found_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are read at the beginning, and when there are more; not to see that there are none."""
    monkeypatch.setattr(results_module, "time", SimpleNamespace(monotonic=asyncio.get_running_loop().time))
    played = Played(dead=["old-1", "old-2"])
    watch = DeadWatch(as_broker(played))
    await watch.begin()
    assert played.pages == 1
    assert await look(watch) == []
    played.dead += ["new-1", "new-2"]
    assert await look(watch) == ["new-1", "new-2"]
    assert await look(watch) == []
    assert played.pages == 2


async def look(watch: DeadWatch) -> list[str]:
    """What one interval between looks brings."""
    found: list[str] = []
    end = asyncio.get_running_loop().time() + LOOK_SECONDS
    while asyncio.get_running_loop().time() <= end:
        found += await watch.next(wait=0.25)
        await asyncio.sleep(0.01)
    return found
