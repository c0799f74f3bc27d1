"""Waiting for conditions, never for time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import pytest


async def until(
    condition: Callable[[], Awaitable[object] | object], *, what: str = "the condition", seconds: float = 60.0
) -> None:
    """Return when `condition` gives something true; fail with `what` when it did not within `seconds`.

    They bound how long a failure takes, and are no measure: a busy machine may stand still for many of them.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                outcome = condition()
                if inspect.isawaitable(outcome):
                    outcome = await outcome
                if outcome:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"did not see within {seconds:g} s: {what}")
