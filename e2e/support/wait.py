"""Waiting for conditions, never for time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class NotInTimeError(TimeoutError):
    """A condition did not come to hold in time; the message says which one, and what was seen last."""


def wait_for(condition: Callable[[], T | None], *, seconds: float, what: str, pause: float = 0.2) -> T:
    """Ask ``condition`` every ``pause`` seconds until its answer is true, and give that answer.

    Raises:
        NotInTimeError: it was not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise _not_in_time(what, seconds, answer)
        time.sleep(pause)


async def until(condition: Callable[[], Awaitable[T | None]], *, seconds: float, what: str, pause: float = 0.1) -> T:
    """Do the same as `wait_for` for a condition that is awaited.

    Raises:
        NotInTimeError: it was not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = await condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise _not_in_time(what, seconds, answer)
        await asyncio.sleep(pause)


def _not_in_time(what: str, seconds: float, answer: object) -> NotInTimeError:
    seen = "" if answer is None or answer is False else f" (last seen: {answer!r})"
    return NotInTimeError(f"{what}: not within {seconds:g} s{seen}")
