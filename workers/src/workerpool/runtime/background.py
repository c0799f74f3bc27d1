"""What runs beside the jobs, and what is done last: tasks in groups, and calls in a given time."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


class Background:
    """Tasks that run until they are cancelled; one that ends before is an error of ours."""

    def __init__(self, coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
        self.tasks = [asyncio.create_task(one) for one in coroutines]

    async def cancel(self) -> None:
        """End them all."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def run_until(event: asyncio.Event, *groups: Background) -> None:
    """Return when it is set; raise what a task of these groups raised, should one end."""
    waiting = asyncio.create_task(event.wait())
    tasks = [task for group in groups for task in group.tasks]
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        waiting.cancel()


async def in_time(seconds: float, *coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all of these beside each other, and cancel what takes longer."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()
