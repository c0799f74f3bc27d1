"""What a collector tells once and then vouches for: no news is told as no news, and who is late is told of."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from workerpool.protocol import REPORT_MAX_SECONDS, Counters, Report
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.cadence import LONGEST_WATCH_SECONDS
from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.collector.holding import BEAT_SECONDS, LATE_SECONDS, SAME_CPU_CORES, Late, Subject
from workerpool_operator.collector.uplink import Uplink
from workerpool_operator.controller.observe import HEARD_SECONDS
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS
from workerpool_operator.protocol import (
    HOLDS_PROTOCOL,
    Holds,
    PoolConfig,
    QueueSample,
    Role,
    Samples,
    Unheld,
    Workers,
    decode_up,
)
from workerpool_operator.protocol.outbox import Outbox

POOL = PoolConfig(name="web", uid="1", queues=({"name": "main"},))
SAID = WorkerState(
    pod="p", uid="u-0", version="v", source="stream", connected=True, report=Report(in_flight=0, slots=4)
)
EMPTY = QueueSample(queue="main", age_seconds=0.0, waiting=0, in_flight=0, poll_seconds=30.0, held=True)


class Room:
    """A board with one pool and its workers, a clock, and what was announced: subject and whether it was news."""

    def __init__(self, *, workers: int = 1) -> None:
        self.now = 100.0
        self.told: list[tuple[str, bool]] = []
        self.board = Board(announce=self._announce, clock=lambda: self.now)
        self.board.configure((POOL,))
        for number in range(workers):
            self.board.pod_seen(pod(f"u-{number}"))
            self.hear(number)
        self.told.clear()

    def _announce(self, what: str, pool: str, *, within: float = 0.0, news: bool = True) -> None:
        self.told.append((f"{what}/{pool}", news))

    def hear(self, number: int = 0, **changes: Any) -> None:
        report = Report(in_flight=0, slots=4).model_copy(update=changes)
        self.board.heard("web", replace(SAID, uid=f"u-{number}", heard_at=self.now, report=report))

    def held(self) -> list[bool]:
        """Of each worker whether it is told as held."""
        message = self.board.workers_message("web")
        assert message is not None
        return [worker.held for worker in message.workers]

    def queue_held(self) -> bool:
        message = self.board.samples_message("web")
        assert message is not None
        return message.samples[0].held


def pod(uid: str) -> PodInfo:
    return PodInfo(
        name="p", uid=uid, pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
    )


def test_a_worker_that_says_the_same_again_is_no_news() -> None:
    """Nor is one whose CPU is about what it was."""
    room = Room()
    room.hear(cpu_cores=0.001)
    room.told.clear()
    for cores in (0.001, 0.001 + SAME_CPU_CORES / 2, 0.0):
        room.now += 10
        room.hear(cpu_cores=cores)
    assert room.told == [("workers/web", False)] * 3


def test_cpu_that_creeps_up_is_news_once_it_is_far_from_what_was_told() -> None:
    """However small each step is."""
    room = Room()
    for step in range(10):
        room.hear(cpu_cores=0.1 + 0.4 * step * SAME_CPU_CORES)
    assert [news for _, news in room.told] == [True, False, False, True, False, False, True, False, False, True]


@pytest.mark.parametrize(
    "said",
    [
        {"in_flight": 1},
        {"slots": 2},
        {"fence": "1.1"},
        {"paused": "breaker"},
        {"remaining_seconds": 7.0},
        {"counters": Counters(started=1)},
        {"cpu_cores": 0.5},
    ],
)
def test_anything_else_that_a_worker_says_is_news(said: dict[str, Any]) -> None:
    """Also what can wait for a moment."""
    room = Room()
    room.hear(**said)
    assert room.told == [("workers/web", True)]


def test_a_worker_that_is_late_is_told_of_by_itself_and_when_it_is_heard_again() -> None:
    """The others are held meanwhile, and do not wait for it."""
    room = Room(workers=3)
    room.now += LATE_SECONDS + 1
    for number in (1, 2):
        room.hear(number)
    room.told.clear()
    room.now += 1
    assert room.board.hold() == 1.0
    assert room.told == [("workers/web", True)]
    assert room.held() == [False, True, True]
    assert room.board.hold() == 1.0
    room.hear(0)
    assert room.told == [("workers/web", True)] * 2
    assert room.held() == [True, True, True]


def test_a_worker_that_has_left_is_not_held_and_holds_nobody_back() -> None:
    """Its stream is gone: it is told as that."""
    room = Room(workers=2)
    room.board.heard("web", replace(SAID, uid="u-0", heard_at=room.now, connected=False))
    room.now += 100
    room.hear(1)
    room.told.clear()
    assert room.board.hold() == 0.0
    assert room.held() == [False, True]
    assert room.told == []


def test_a_queue_that_is_read_to_be_the_same_is_no_news() -> None:
    """Whether or not it would be time to confirm it."""
    room = Room(workers=0)
    room.board.sampled("web", EMPTY)
    room.told.clear()
    room.now += 10
    room.board.sampled("web", EMPTY, tell=False)
    assert room.told == []
    room.now += 10
    room.board.sampled("web", EMPTY)
    assert room.told == [("samples/web", False)]
    room.now += 3
    assert room.board.hold() == 3.0


def test_a_queue_that_moves_is_never_held() -> None:
    """It is told every second: older readings of it count for nothing."""
    room = Room(workers=0)
    busy = replace(EMPTY, held=False, poll_seconds=1.0)
    for _ in range(2):
        room.board.sampled("web", busy)
    assert room.told == [("samples/web", True)] * 2
    assert not room.queue_held()
    room.now += 100
    assert room.board.hold() == 0.0


def test_what_is_not_told_of_a_queue_yet_is_not_vouched_for() -> None:
    """Something has changed of which the next message is soon enough: the reading that was told does not last."""
    room = Room(workers=0)
    room.board.sampled("web", EMPTY)
    room.now += 4
    room.board.sampled("web", replace(EMPTY, arrivals_total=1), tell=False)
    assert room.board.hold() == 4.0


def test_a_queue_that_cannot_be_read_in_time_is_told_of_and_when_it_is_read_again() -> None:
    """Its broker, or its reader, hangs."""
    room = Room(workers=0)
    room.board.sampled("web", EMPTY)
    room.told.clear()
    room.now += LATE_SECONDS + 1
    assert room.board.hold() == 0.0
    assert (room.told, room.queue_held()) == ([("samples/web", True)], False)
    room.board.sampled("web", EMPTY, tell=False)
    assert (room.told, room.queue_held()) == ([("samples/web", True)] * 2, True)


def test_a_pool_or_a_queue_that_is_gone_is_announced() -> None:
    """What was said of it is held no more."""
    room = Room()
    room.board.sampled("web", EMPTY)
    room.told.clear()
    room.board.configure((POOL.model_copy(update={"queues": ({"name": "other"},)}),))
    room.board.configure(())
    assert room.told == [("samples/web", True), ("workers/web", True)]
    assert room.board.hold() == 0.0


TIMES = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.0, 40.0), max_size=6)


@given(rounds=st.lists(TIMES, max_size=12))
def test_what_is_vouched_for_is_never_newer_than_any_that_is_held(rounds: list[dict[str, float]]) -> None:
    """And nobody is held for longer than `LATE_SECONDS` after its last word. Each round: how old each one's word is."""
    late, now = Late(), 100.0
    for ages in rounds:
        now += 2.0
        held: list[tuple[Subject, float]] = [(("workers", "web", uid), now - age) for uid, age in ages.items()]
        vouched, found = late.look(held, now=now)
        standing = [age for uid, age in ages.items() if ("workers", "web", uid) not in late]
        assert all(vouched >= age - 1e-9 for age in standing)
        assert all(age <= LATE_SECONDS + 1e-9 for age in standing)
        assert set(found) <= {subject for subject, moment in held if now - moment > LATE_SECONDS}
        for uid, age in ages.items():
            if age < 1.0:
                late.ends(("workers", "web", uid))


def test_there_is_time_for_a_late_word_and_for_a_late_beat() -> None:
    """So that a machine that is busy makes nobody unknown."""
    assert max(REPORT_MAX_SECONDS, LONGEST_WATCH_SECONDS) + 2 <= LATE_SECONDS
    assert min(REPORT_FRESH_SECONDS, HEARD_SECONDS) >= LATE_SECONDS + BEAT_SECONDS + 1


class Up:
    """An uplink with one link, and all that has gone out on it."""

    def __init__(self) -> None:
        config = CollectorConfig.from_environment(
            {
                "POD_NAMESPACE": "n",
                "POD_NAME": "c",
                "OPERATOR_STREAM": "127.0.0.1:1",
                "API_SERVER": "http://127.0.0.1:1",
            }
        )
        self.late: list[str] = []
        self.broken: set[str] = set()
        self.uplink = Uplink(config, compose=self._compose, everything=list, hold=self._hold, obey=lambda _: None)
        self.outbox = self.uplink._links["1.2.3.4"] = Outbox()

    def _compose(self, what: str, pool: str) -> BaseModel:
        if pool in self.broken:
            raise ValueError("cannot be made")
        return Samples(pool=pool, samples=()) if what == "samples" else Workers(pool=pool, workers=())

    def _hold(self) -> float:
        for pool in self.late:
            self.uplink.announce("workers", pool)
        return 3.0

    async def sent(self) -> list[BaseModel]:
        """What waits to be sent, in its order."""
        found: list[BaseModel] = []

        async def write(text: str) -> None:
            message = decode_up(text)
            assert message is not None
            found.append(message)

        drain = asyncio.create_task(self.outbox.drain(write))
        await asyncio.sleep(0)
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)
        return found


async def test_what_is_new_goes_up_before_it_is_said_that_nothing_else_is() -> None:
    """Also what could have waited, and who has just been found to be late."""
    up = Up()
    up.late.append("late")
    up.uplink.announce("workers", "slow", within=3600.0)
    up.uplink.beat()
    up.uplink.announce("samples", "slow")
    up.uplink.beat()
    *news, last = await up.sent()
    assert isinstance(last, Holds)
    assert last.age_seconds == 3.0
    assert {message.pool for message in news if isinstance(message, Workers | Samples)} == {"slow", "late"}


async def test_a_pool_of_which_nothing_can_be_told_is_held_no_more() -> None:
    """The others are."""
    up = Up()
    up.broken.add("bad")
    for what in ("samples", "workers", "arrivals"):
        up.uplink.announce(what, "bad")
    up.uplink.beat()
    *news, last = await up.sent()
    assert news == [Unheld(pool="bad", what="samples"), Unheld(pool="bad", what="workers")]
    assert isinstance(last, Holds)


async def test_an_operator_that_knows_no_holding_has_everything_repeated_and_is_told_of_none() -> None:
    """Its role says which protocol it speaks; before that it is taken for one of those."""
    up = Up()
    up.uplink._forgetful.add("1.2.3.4")
    up.uplink._hear(Role(leader=True, epoch=1, protocol=HOLDS_PROTOCOL - 1).model_dump_json(), address="1.2.3.4")
    up.uplink.announce("workers", "web", news=False)
    up.uplink.beat()
    assert await up.sent() == []
    assert up.uplink._due.keys() == {("workers", "web")}
    up.uplink._due.clear()
    up.uplink._hear(Role(leader=True, epoch=1).model_dump_json(), address="1.2.3.4")
    up.uplink.announce("workers", "web", news=False)
    up.uplink.beat()
    assert [type(message) for message in await up.sent()] == [Holds]
