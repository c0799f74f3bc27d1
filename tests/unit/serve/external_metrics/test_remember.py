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


class TestRenewal:
    """Answers that are asked for anew from their fifth second on."""

    @pytest.fixture
    def answers(self, oracle: Oracle) -> Remembered[str, int]:
        return Remembered(seconds=10.0, limit=2, renew_after=5.0, clock=oracle)

    async def test_who_wants_an_old_answer_has_it_renewed_and_does_not_wait(
        self, oracle: Oracle, answers: Remembered[str, int]
    ) -> None:
        await answers.get("a", oracle.ask)
        oracle.now = 4.9
        await answers.get("a", oracle.ask)
        assert oracle.asked == 1
        oracle.now = 5.0
        oracle.go.clear()
        assert [await answers.get("a", oracle.ask) for _ in range(3)] == [1, 1, 1]
        await until(lambda: oracle.asked == 2, what="the question")
        assert await answers.get("a", oracle.ask) == 1
        oracle.go.set()
        await until(lambda: renewed(answers, oracle), what="the other answer")
        oracle.now = 14.9
        assert await answers.get("a", oracle.ask) == 2
        oracle.now = 15.0
        assert await answers.get("a", oracle.ask) >= 3, "the time counts from the question"

    async def test_without_a_renewal_the_old_answer_counts_to_its_end_and_no_longer(
        self, oracle: Oracle, answers: Remembered[str, int]
    ) -> None:
        await answers.get("a", oracle.ask)
        oracle.now, oracle.failing = 5.0, True
        await answers.get("a", oracle.ask)
        await until(lambda: oracle.asked == 2, what="the question")
        oracle.now = 9.9
        assert await answers.get("a", oracle.ask) == 1
        oracle.now = 10.0
        with pytest.raises(ConnectionError):
            await answers.get("a", oracle.ask)
        assert oracle.asked == 3, "one question for a renewal"

    async def test_a_renewal_that_comes_too_late_takes_no_newer_answers_place(
        self, oracle: Oracle, answers: Remembered[str, int]
    ) -> None:
        late = asyncio.Event()

        async def ask_late() -> int:
            await late.wait()
            return -1

        await answers.get("a", oracle.ask)
        oracle.now = 5.0
        await answers.get("a", ask_late)
        oracle.now = 10.0
        assert await answers.get("a", oracle.ask) == 2
        late.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert await answers.get("a", oracle.ask) == 2

    async def test_a_question_that_is_under_way_is_not_asked_again(
        self, oracle: Oracle, answers: Remembered[str, int]
    ) -> None:
        oracle.go.clear()
        waiting = [asyncio.create_task(answers.get("a", oracle.ask))]
        await until(lambda: oracle.asked, what="the question")
        oracle.now = 6.0
        waiting.append(asyncio.create_task(answers.get("a", oracle.ask)))
        await asyncio.sleep(0)
        oracle.go.set()
        assert await asyncio.gather(*waiting) == [1, 1]

    async def test_what_had_to_give_way_comes_back_by_no_renewal(
        self, oracle: Oracle, answers: Remembered[str, int]
    ) -> None:
        await answers.get("a", oracle.ask)
        oracle.now = 5.0
        oracle.go.clear()
        await answers.get("a", oracle.ask)
        oracle.go.set()
        for key in ("b", "c"):
            await answers.get(key, oracle.ask)
        assert await answers.get("a", oracle.ask) == oracle.asked, "asked for anew"


async def renewed(answers: Remembered[str, int], oracle: Oracle) -> bool:
    return await answers.get("a", oracle.ask) == 2
