"""Ending what belongs to aiokafka. It waits for tasks that it has cancelled itself, and may end as they do."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def ended(ending: Coroutine[Any, Any, object], *, seconds: float) -> bool:
    """Run this for so long at most; returns whether it came to its end. Raises nothing of it."""
    task = asyncio.ensure_future(ending)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    await asyncio.wait([task])
    return not task.cancelled() and task.exception() is None
