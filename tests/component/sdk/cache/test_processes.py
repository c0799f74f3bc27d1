"""A cache that several processes share: one of them asks the origin, whatever becomes of it."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.redis import RedisServer
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.redis]
PROGRAM = Path(__file__).with_name("program.py")
LOCK = 9.0
"""Seconds. It is extended three times in them: none is lost while this machine stands still."""


class Getter:
    """A process of `program.py`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def heard(self, word: str) -> None:
        """Return when it has said this."""
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while line := await self._process.stdout.readline():
                if line.decode().strip() == word:
                    return
        pytest.fail(f"it never said {word}")

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def got(self) -> list[Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            lines = (await self._process.stdout.read()).decode().splitlines()
            await self._process.wait()
        found: list[Any] = json.loads(lines[-1])
        return found

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def getter(
    server: RedisServer, stream: str, *, calls: int, value: str = "value", seconds: float = 0.3
) -> AsyncIterator[Getter]:
    arguments = (str(PROGRAM), server.url, stream, str(calls), value, str(seconds), str(LOCK))
    one = Getter(await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE))
    try:
        await one.heard("ready")
        yield one
    finally:
        await one.end()


async def test_200_misses_at_once_over_4_processes_ask_the_origin_once(
    redis_server: RedisServer, redis_stream: str
) -> None:
    async with (
        getter(redis_server, redis_stream, calls=50) as a,
        getter(redis_server, redis_stream, calls=50) as b,
        getter(redis_server, redis_stream, calls=50) as c,
        getter(redis_server, redis_stream, calls=50) as d,
    ):
        for one in (a, b, c, d):
            one.go()
        for one in (a, b, c, d):
            assert await one.got() == ["value"] * 50
    with redis_server.client() as client:
        assert int(client.get(f"{redis_stream}:asked")) == 1


async def test_when_the_filler_is_killed_one_of_the_others_fills(redis_server: RedisServer, redis_stream: str) -> None:
    async with (
        getter(redis_server, redis_stream, calls=1, value="never", seconds=60) as first,
        getter(redis_server, redis_stream, calls=5, value="second", seconds=0.1) as second,
        getter(redis_server, redis_stream, calls=5, value="second", seconds=0.1) as third,
    ):
        first.go()
        await first.heard("asked")
        second.go()
        third.go()
        first.signal(signal.SIGKILL)
        assert await second.got() == ["second"] * 5
        assert await third.got() == ["second"] * 5
    with redis_server.client() as client:
        assert int(client.get(f"{redis_stream}:asked")) == 2


async def test_a_filler_that_was_away_for_too_long_does_not_overwrite_a_newer_value(
    redis_server: RedisServer, redis_stream: str
) -> None:
    async with (
        getter(redis_server, redis_stream, calls=1, value="old", seconds=0.1) as frozen,
        getter(redis_server, redis_stream, calls=1, value="new", seconds=0.1) as second,
        getter(redis_server, redis_stream, calls=1, value="never", seconds=0.1) as third,
    ):
        frozen.go()
        await frozen.heard("asked")
        frozen.signal(signal.SIGSTOP)
        second.go()
        assert await second.got() == ["new"]
        frozen.signal(signal.SIGCONT)
        assert await frozen.got() == ["old"], "it has what it asked for, and keeps it for itself"
        third.go()
        assert await third.got() == ["new"]


async def test_a_filler_that_lives_keeps_its_lock(redis_server: RedisServer, redis_stream: str) -> None:
    """Its fill takes longer than the lock lives without it."""
    async with (
        getter(redis_server, redis_stream, calls=1, seconds=1.5 * LOCK) as first,
        getter(redis_server, redis_stream, calls=1, value="never") as second,
    ):
        first.go()
        await first.heard("asked")
        second.go()
        assert await second.got() == ["value"]
    with redis_server.client() as client:
        await until(lambda: int(client.get(f"{redis_stream}:asked")) == 1, what="one question")
