"""Work on a thread of its own: it ends with whoever waits for it, and fails with its own error."""

import asyncio
import threading

import pytest

from tests.support.waiting import until
from workerpool_operator.controller.threads import in_own_thread


async def test_it_runs_on_another_thread_while_this_loop_stands_still() -> None:
    began, done = threading.Event(), threading.Event()

    async def work() -> None:
        assert began.wait(5)
        done.set()

    waiting = asyncio.create_task(in_own_thread(work(), name="test"))
    await asyncio.sleep(0)
    began.set()
    assert done.wait(5)  # blocks this loop
    await waiting


async def test_its_error_is_raised_here() -> None:
    async def work() -> None:
        raise OSError("the port is taken")

    with pytest.raises(OSError, match="the port is taken"):
        await in_own_thread(work(), name="test")


async def test_cancelling_lets_it_clean_up_before_it_ends() -> None:
    events: list[str] = []

    async def work() -> None:
        events.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("ended")

    waiting = asyncio.create_task(in_own_thread(work(), name="to-cancel"))
    await until(lambda: events, what="the beginning")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert events == ["began", "ended"]
    await until(lambda: "to-cancel" not in {thread.name for thread in threading.enumerate()}, what="the thread's end")
