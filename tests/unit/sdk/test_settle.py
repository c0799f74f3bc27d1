"""Settling outcomes with a broker that fails in every way."""

import asyncio
from collections.abc import Sequence

import pytest

from workerpool.broker import BadAnswer, BrokerUnavailable, DeadLetter, DeathReason, Retry, Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.broker._memory_store import MemoryStore
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.inflight import Running
from workerpool.runtime.settle import Bury, Done, Drop, HandBack, Outcome, Settler, TryAgain


class Broker:
    """Answers from a script; records what it was told."""

    connected = True

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []
        self.failures: list[Exception] = []
        self.poisonous: set[str] = set()
        self.refuses = ""
        self.lost: set[str] = set()
        self.let_go_of: list[str] = []

    def _hear(self, what: str, jobs: Sequence[Taken]) -> frozenset[str]:
        tokens = [job.token for job in jobs]
        self.told.append((what, tokens))
        if what == self.refuses:
            raise BrokerUnavailable("full")
        if self.failures:
            raise self.failures.pop(0)
        if self.poisonous & set(tokens):
            raise BadAnswer("cannot")
        return frozenset(self.lost & set(tokens))

    def let_go(self, jobs: Sequence[Taken]) -> None:
        self.let_go_of += [job.token for job in jobs]

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        return self._hear("ack", jobs)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        return self._hear("hand_back", jobs)

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        return self._hear("retry", [retry.job for retry in retries])

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        return self._hear("dead", [letter.job for letter in letters])


class Log:
    def __getattr__(self, name: str) -> object:
        return lambda *args, **kwargs: None


def running(token: str) -> Running:
    job = Taken(token=token, job_id=token, type="t", payload=b"1", attempt=1, waited=0.0)
    return Running(job, "main", 0.0, MemoryBroker(MemoryStore(), lease_seconds=60))


async def settle(broker: Broker, outcomes: Sequence[Outcome]) -> dict[str, bool]:
    """What `settled` was told, by token."""
    told: dict[str, bool] = {}
    complete = asyncio.Event()

    def settled(outcome: Outcome, ours: bool) -> None:  # noqa: FBT001
        assert outcome.running.job.token not in told, "told twice"
        told[outcome.running.job.token] = ours
        if len(told) == len(outcomes):
            complete.set()

    settler = Settler(broker, comeback=Comeback(broker), settled=settled, log=Log())  # type: ignore[arg-type]
    task = asyncio.create_task(settler.run())
    for outcome in outcomes:
        settler.submit(outcome)
        assert outcome.running.settling
    await asyncio.wait_for(complete.wait(), 20)
    task.cancel()
    return told


async def test_outcomes_of_a_kind_go_in_one_call() -> None:
    broker = Broker()
    job = running("e")
    letter = DeadLetter(job.job, DeathReason.REJECTED)
    outcomes: list[Outcome] = [
        Done(running("a")),
        TryAgain(running("b"), 1.0),
        Done(running("c")),
        HandBack(running("d")),
        Bury(job, letter),
        Drop(running("f")),
    ]
    assert await settle(broker, outcomes) == {"a": True, "b": True, "c": True, "d": True, "e": True, "f": False}
    assert broker.told == [("ack", ["a", "c"]), ("retry", ["b"]), ("dead", ["e"]), ("hand_back", ["d"])]


async def test_a_job_that_was_not_ours_any_more_is_told() -> None:
    broker = Broker()
    broker.lost = {"a"}
    assert await settle(broker, [Done(running("a")), Done(running("b"))]) == {"a": False, "b": True}


async def test_an_outcome_is_repeated_until_the_broker_answers() -> None:
    broker = Broker()
    broker.failures = [BrokerUnavailable("away")] * 3
    assert await settle(broker, [Done(running("a"))]) == {"a": True}
    assert broker.told == [("ack", ["a"])] * 4


async def test_not_ours_after_a_failure_means_that_it_had_happened() -> None:
    """The broker did it and the answer was lost: the repetition finds nothing of ours."""
    broker = Broker()
    broker.failures, broker.lost = [BrokerUnavailable("cut off")], {"a"}
    assert await settle(broker, [Done(running("a"))]) == {"a": True}


@pytest.mark.looptime
async def test_an_answer_that_makes_no_sense_is_asked_for_again() -> None:
    broker = Broker()
    broker.failures = [BadAnswer("no upstream host")] * 2
    assert await settle(broker, [Done(running("a"))]) == {"a": True}
    assert broker.let_go_of == []


@pytest.mark.looptime
async def test_one_job_that_the_broker_chokes_on_does_not_hold_up_the_others() -> None:
    broker = Broker()
    broker.poisonous = {"b"}
    outcomes = [Done(running(token)) for token in "abc"]
    assert await settle(broker, outcomes) == {"a": True, "b": False, "c": True}
    assert broker.let_go_of == ["b"], "it is never given to this worker again"


async def test_a_job_that_is_dropped_may_come_back() -> None:
    broker = Broker()
    assert await settle(broker, [Drop(running("a")), Done(running("b"))]) == {"a": False, "b": True}
    assert broker.let_go_of == ["a"]


@pytest.mark.parametrize("count", [1, 50])
async def test_what_is_submitted_during_a_call_goes_with_the_next(count: int) -> None:
    broker = Broker()
    assert len(await settle(broker, [Done(running(str(number))) for number in range(count)])) == count
    assert len(broker.told) == 1


@pytest.mark.looptime
@pytest.mark.parametrize("refuses", ["retry", "dead", "hand_back"])
async def test_what_the_broker_refuses_holds_up_nothing_else(refuses: str) -> None:
    """A broker that is full takes acknowledgements, and they make room."""
    broker, job = Broker(), running("bad")
    broker.refuses = refuses
    bad: dict[str, Outcome] = {
        "retry": TryAgain(job, 1.0),
        "dead": Bury(job, DeadLetter(job.job, DeathReason.REJECTED)),
        "hand_back": HandBack(job),
    }
    told: list[str] = []
    settler = Settler(
        broker,  # type: ignore[arg-type]
        comeback=Comeback(broker),  # type: ignore[arg-type]
        settled=lambda outcome, _ours: told.append(outcome.running.job.token),
        log=Log(),
    )
    task = asyncio.create_task(settler.run())
    settler.submit(bad[refuses])
    await asyncio.sleep(60)
    for number in range(10):
        settler.submit(Done(running(str(number))))
        await asyncio.sleep(0.01)
        assert str(number) in told, "it waits for what is refused"
    assert 10 <= sum(what == refuses for what, _ in broker.told) <= 40, "asked too seldom, or too often"
    broker.refuses = ""
    await asyncio.sleep(6)
    assert "bad" in told
    task.cancel()
