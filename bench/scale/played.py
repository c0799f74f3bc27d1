"""A played collector of a namespace at rest: it says as much as a real one would whose workers run the SDK.

A worker reports each `REPORT_MAX_SECONDS`, and a real collector passes on its pool's list of workers
`SAME_WAITS_SECONDS` after the first report that it has not passed on, with all that have come by then. All queues are
empty, and have been for long; that is confirmed a little more often than by a real one.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from bench.pools.stage import Stage
from bench.scale.watched import Key, Pods
from e2e.faults.collector import REDIAL_SECONDS, Endpoint, Script, ScriptedCollector, collector_token
from workerpool.protocol import REPORT_MAX_SECONDS
from workerpool_operator import protocol
from workerpool_operator.collector.board import SAME_WAITS_SECONDS
from workerpool_operator.collector.cadence import CONFIRM_IDLE_SECONDS

QUEUE: Final = "main"
TICK_SECONDS: Final = 0.25
_ASK_SECONDS: Final = 1.0
_TOKEN_SECONDS: Final = 300.0
"""Half of what a token lasts."""


@dataclass(kw_only=True)
class PlayedCollector(ScriptedCollector):
    """One that tells of its pools in turn, and of one whose pods have changed at once."""

    workers: int
    """Of each pool, at rest."""
    _changed_pools: set[str] = field(default_factory=set)

    def changed(self, pool: str) -> None:
        """The pool has other pods now."""
        self._changed_pools.add(pool)
        self._changed.set()

    async def _report_for_ever(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError, OSError):
            for pool in self.scripts:
                await self._report(stream, pool)
            await self._report_in_turn(stream)

    async def _report_in_turn(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        turns, told = deque(self.scripts), 0
        turn_seconds = SAME_WAITS_SECONDS + REPORT_MAX_SECONDS / self.workers
        rounds = max(1, int(CONFIRM_IDLE_SECONDS / turn_seconds))
        each_second = len(turns) / turn_seconds
        pause = max(TICK_SECONDS, 1 / each_second)
        while True:
            await self._until_next_turn(stream, pause)
            for _ in range(math.ceil(each_second * pause)):
                # Once in that many rounds the queue is confirmed as well.
                if told // len(turns) % rounds:
                    await self._tell_workers(stream, turns[0])
                else:
                    await self._report(stream, turns[0])
                turns.rotate(-1)
                told += 1

    async def _until_next_turn(self, stream: aiohttp.ClientWebSocketResponse, pause: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    while self._changed_pools:
                        await self._tell_workers(stream, self._changed_pools.pop())

    async def _tell_workers(self, stream: aiohttp.ClientWebSocketResponse, pool: str) -> None:
        script = self.scripts.get(pool)
        if script is None:
            return
        workers = tuple(self._worker(pool, uid, name, script=script) for uid, name in self.pods(pool).items())
        await stream.send_str(protocol.Workers(pool=pool, workers=workers, pods=()).model_dump_json())


@dataclass(kw_only=True)
class Collectors:
    """One for each namespace; each dials as soon as the operator has made its service account."""

    stage: Stage
    endpoint: Endpoint
    pods: Pods
    names: Mapping[str, list[str]]
    """Namespace -> its pools."""
    workers: int
    _played: dict[str, PlayedCollector] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self) -> None:
        """Start all."""
        for place, pools in self.names.items():
            self._played[place] = one = self._make(place)
            for pool in pools:
                one.say(pool, Script(queue=QUEUE))
            self._tasks[place] = asyncio.create_task(self._run(one), name=f"collector-{place}")

    def changed(self, key: Key) -> None:
        """A pool has other pods now."""
        place, pool = key
        if one := self._played.get(place):
            one.changed(pool)

    def check(self) -> None:
        """Raise what has ended one of them."""
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def stop(self, place: str) -> None:
        """End that of one namespace."""
        task = self._tasks.pop(place)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop_all(self) -> None:
        """End all."""
        for place in list(self._tasks):
            await self.stop(place)

    def _make(self, place: str) -> PlayedCollector:
        known, asked = "", -math.inf

        async def token() -> str:
            """The last one while it is young: a collector that has lost its operator dials ten times a second."""
            nonlocal known, asked
            if time.monotonic() - asked > _TOKEN_SECONDS:
                known = await collector_token(self.stage.session, self.stage.access.server, place)
                asked = time.monotonic()
            return known

        return PlayedCollector(
            endpoint=self.endpoint,
            token=token,
            pods=lambda pool: self.pods.of((place, pool)),
            repeat_seconds=CONFIRM_IDLE_SECONDS,
            workers=self.workers,
        )

    async def _run(self, one: PlayedCollector) -> None:
        """Not before it is allowed to: a refused dial is repeated ten times a second."""
        while True:
            with suppress(aiohttp.ClientError):
                await one.token()
                break
            await asyncio.sleep(_ASK_SECONDS)
        while True:
            try:
                await one.run()
            except* (aiohttp.ClientError, OSError):
                # An order that came while the operator was killed could not be answered.
                await asyncio.sleep(REDIAL_SECONDS)
