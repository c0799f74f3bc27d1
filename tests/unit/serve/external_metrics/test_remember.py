"""Answers that are remembered: for how long, how many, and who shares them."""

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.support.waiting import until
from workerpool_operator.serve.external_metrics.remember import Remembered


@dataclass
class Oracle:
    """Counts the questions; each answer is its number."""

    now: float = 0.0
    asked: int = 0
    failing: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self) -> float:
        return self.now

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.go.wait()
        if self.failing:
            raise ConnectionError
        return number


@pytest.fixture
def oracle() -> Oracle:
    made = Oracle()
    made.go.set()
    return made


@pytest.fixture
def answers(oracle: Oracle) -> Remembered[str, int]:
    return Remembered(seconds=10.0, limit=2, clock=oracle)


async def test_it_asks_again_when_the_time_is_up(oracle: Oracle, answers: Remembered[str, int]) -> None:
    assert await answers.get("a", oracle.ask) == 1
    oracle.now = 9.9
    assert await answers.get("a", oracle.ask) == 1
    oracle.now = 10.0
    assert await answers.get("a", oracle.ask) == 2


async def test_the_time_counts_from_the_question(oracle: Oracle, answers: Remembered[str, int]) -> None:
    oracle.go.clear()
    slow = asyncio.create_task(answers.get("a", oracle.ask))
    await until(lambda: oracle.asked, what="the question")
    oracle.now = 9.0
    oracle.go.set()
    assert await slow == 1
    oracle.now = 10.0
    assert await answers.get("a", oracle.ask) == 2


async def test_who_asks_meanwhile_shares_the_answer(oracle: Oracle, answers: Remembered[str, int]) -> None:
    assert await asyncio.gather(*(answers.get("a", oracle.ask) for _ in range(5))) == [1] * 5


async def test_a_failure_is_shared_and_not_remembered(oracle: Oracle, answers: Remembered[str, int]) -> None:
    oracle.failing = True
    outcomes = await asyncio.gather(*(answers.get("a", oracle.ask) for _ in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 2
    assert oracle.asked == 1
    oracle.failing = False
    assert await answers.get("a", oracle.ask) == 2


async def test_one_who_hangs_up_takes_nothing_from_the_others(oracle: Oracle, answers: Remembered[str, int]) -> None:
    oracle.go.clear()
    first, second = (asyncio.create_task(answers.get("a", oracle.ask)) for _ in range(2))
    await until(lambda: oracle.asked, what="the question")
    first.cancel()
    oracle.go.set()
    assert await second == 1


async def test_it_keeps_no_more_than_its_limit(oracle: Oracle, answers: Remembered[str, int]) -> None:
    for key in ("a", "b", "c"):
        await answers.get(key, oracle.ask)
    assert await answers.get("c", oracle.ask) == 3
    assert await answers.get("b", oracle.ask) == 2
    assert await answers.get("a", oracle.ask) == 4
