"""What the work queue keeps is bounded by the number of keys, however often they are looked at."""

import asyncio

from workerpool_operator.controller.queue import Outcome, WorkQueue


class Nobody:
    def queue_depth(self, depth: int) -> None:
        """Not watched."""

    def queue_waited(self, seconds: float) -> None:
        """Not watched."""


async def test_a_busy_key_that_always_wants_a_late_look_leaves_no_trail_of_timers() -> None:
    """A busy pool is planned four times a second, and each plan wants another look in five minutes."""
    runs = 0
    done = asyncio.Event()

    async def handle(_: object) -> Outcome:
        nonlocal runs
        runs += 1
        if runs < 2000:
            queue.mark("busy")
        else:
            done.set()
        return Outcome(look_again=300.0)

    async def gate() -> None:
        """Always open."""

    queue = WorkQueue(handle, gate=gate, metrics=Nobody(), workers=1)
    task = asyncio.create_task(queue.run())
    queue.mark("busy")
    try:
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(queue._timers) < 200
