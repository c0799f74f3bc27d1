"""The producer's side of every library: `python LIBRARY_app.py fill NAME COUNT`, or `rate NAME COUNT PER_SECOND`."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

_AT_ONCE = 100

Enqueue = Callable[[str, float | None], Awaitable[object]]
Fill = Callable[[str, int], Awaitable[object]]


async def produce(enqueue: Enqueue, *, fill: Fill | None = None) -> None:
    """Do what the command line asks for; `fill` puts many jobs at once, where a library can."""
    what, name, count, *rest = sys.argv[1:]
    if what == "fill" and fill is not None:
        await fill(name, int(count))
    elif what == "fill":
        await _fill(enqueue, name, int(count))
    else:
        await _at_rate(enqueue, name, int(count), float(rest[0]))


async def _fill(enqueue: Enqueue, name: str, count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        await asyncio.gather(*(enqueue(name, None) for _ in range(min(_AT_ONCE, count - first))))


async def _at_rate(enqueue: Enqueue, name: str, count: int, per_second: float) -> None:
    """Open loop: each job is sent when it is due, whatever became of those before, and carries when it was due."""
    start, sent = time.time() + 0.1, []
    for number in range(count):
        due = start + number / per_second
        await asyncio.sleep(max(0.0, due - time.time()))
        sent.append(asyncio.ensure_future(enqueue(name, due)))
    await asyncio.gather(*sent)
