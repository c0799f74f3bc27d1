"""A lifespan may take its time, but not hold up the worker's end. The clock is looptime's."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from workerpool.runtime.drain import CANCEL_SECONDS, Stop
from workerpool.runtime.life import Life
from workerpool.telemetry.logs import Log

pytestmark = pytest.mark.looptime

DRAIN_SECONDS = 60.0
WORD: contextvars.ContextVar[str] = contextvars.ContextVar("word")


class Stage:
    """A lifespan that does at its ends what the test says, and what has happened."""

    def __init__(self, *, begin: Callable[[], Any] | None = None, end: Callable[[], Any] | None = None) -> None:
        self.stop = Stop()
        self.seen: list[str] = []
        self._begin, self._end = begin, end
        self.life = Life(self.lifespan, stop=self.stop, seconds=DRAIN_SECONDS, log=Log())

    def lifespan(self) -> AbstractAsyncContextManager[str]:
        return self._lifespan()

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[str]:
        task = asyncio.current_task()
        try:
            if self._begin is not None:
                await self._begin()
            self.seen.append("in")
            yield "context"
        except BaseException as error:
            self.seen.append(type(error).__name__)
            raise
        finally:
            assert asyncio.current_task() is task, "task groups and timeouts end in the task in which they began"
            if self._end is not None and "in" in self.seen:
                await self._end()
            self.seen.append("out")


def now() -> float:
    return asyncio.get_running_loop().time()


async def hang() -> None:
    await asyncio.Event().wait()


async def ignore() -> None:
    """Its cancellation."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if now() > 1000:
                raise


async def fail() -> None:
    raise ValueError("no")


async def test_it_is_entered_and_left() -> None:
    stage = Stage()
    assert await stage.life.begin()
    assert (stage.life.context, stage.life.lasts) == ("context", True)
    await stage.life.end()
    assert (stage.seen, stage.life.lasts) == (["in", "out"], False)


async def test_what_it_sets_in_its_context_is_seen_by_handlers() -> None:
    async def begin() -> None:
        WORD.set("hello")

    stage = Stage(begin=begin)
    await stage.life.begin()
    assert WORD.get() == "hello"
    await stage.life.end()


async def test_one_that_hangs_at_its_start_is_cancelled_when_the_worker_is_told_to_stop() -> None:
    stage = Stage(begin=hang)
    asyncio.get_running_loop().call_later(5, stage.stop.ask)
    began = now()
    assert not await stage.life.begin()
    assert now() - began == 5
    assert (stage.seen, stage.life.lasts) == (["CancelledError", "out"], False)


async def test_one_that_ignores_its_cancellation_at_its_start_is_left_behind() -> None:
    stage = Stage(begin=ignore)
    stage.stop.ask()
    began = now()
    assert not await stage.life.begin()
    assert now() - began == CANCEL_SECONDS
    assert stage.life.lasts


async def test_one_that_begins_in_spite_of_its_cancellation_is_left() -> None:
    async def begin() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            return

    stage = Stage(begin=begin)
    stage.stop.ask()
    assert not await stage.life.begin()
    assert (stage.seen, stage.life.lasts) == (["in", "out"], False)


async def test_one_that_fails_at_its_start_says_so() -> None:
    with pytest.raises(ValueError, match="no"):
        await Stage(begin=fail).life.begin()


async def test_a_worker_that_is_cancelled_while_it_starts_cancels_it() -> None:
    stage = Stage(begin=hang)
    task = asyncio.create_task(stage.life.begin())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.seen == ["CancelledError", "out"]


@pytest.mark.parametrize(("used", "left"), [(0, 60), (20, 40), (59, CANCEL_SECONDS), (70, CANCEL_SECONDS)])
async def test_one_that_hangs_at_its_end_has_what_is_left_of_the_drains_time(used: float, left: float) -> None:
    stage = Stage(end=hang)
    await stage.life.begin()
    stage.stop.ask()
    await asyncio.sleep(used)
    began = now()
    await stage.life.end()
    assert now() - began == left
    assert not stage.life.lasts


async def test_a_second_signal_ends_the_waiting() -> None:
    stage = Stage(end=hang)
    await stage.life.begin()
    stage.stop.ask()
    asyncio.get_running_loop().call_later(2, stage.stop.ask)
    began = now()
    await stage.life.end()
    assert now() - began == 2


async def test_one_that_ignores_its_cancellation_at_its_end_is_left_behind() -> None:
    stage = Stage(end=ignore)
    await stage.life.begin()
    stage.stop.ask()
    began = now()
    await stage.life.end()
    assert now() - began == DRAIN_SECONDS + CANCEL_SECONDS
    assert stage.life.lasts


async def test_one_that_fails_at_its_end_says_so() -> None:
    stage = Stage(end=fail)
    await stage.life.begin()
    with pytest.raises(ValueError, match="no"):
        await stage.life.end()


async def test_what_ended_the_worker_is_told_to_it() -> None:
    stage = Stage()
    await stage.life.begin()
    await stage.life.end(KeyError("why"))
    assert stage.seen == ["in", "KeyError", "out"]
    cancelled = Stage()
    await cancelled.life.begin()
    await cancelled.life.end(asyncio.CancelledError())
    assert cancelled.seen == ["in", "CancelledError", "out"]


async def test_what_fails_in_it_while_the_worker_works_is_heard() -> None:
    class Group(Stage):
        @asynccontextmanager
        async def _lifespan(self) -> AsyncIterator[str]:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._later())
                yield "context"

        async def _later(self) -> None:
            await asyncio.sleep(3)
            await fail()

    stage = Group()
    assert await stage.life.begin()
    began = now()
    with pytest.raises(ExceptionGroup):
        await stage.life.failed()
    assert now() - began == 3
    await stage.life.end(KeyError("it was that"))


async def test_a_program_without_one_begins_and_ends_at_once() -> None:
    life = Life(None, stop=Stop(), seconds=DRAIN_SECONDS, log=Log())
    began = now()
    assert await life.begin()
    await life.end()
    assert (life.context, life.lasts, now()) == (None, False, began)
