"""A played collector of a namespace at rest: it says as much as a real one would whose workers run the SDK.

All queues are empty, and all workers have nothing to do: so a real collector says both once, and then each
`BEAT_SECONDS` that all of it holds, since its workers were last heard, which is up to `REPORT_MAX_SECONDS` ago.
"""

from __future__ import annotations

import asyncio
import math
import time
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
from workerpool_operator.collector.cadence import CONFIRM_IDLE_SECONDS
from workerpool_operator.collector.holding import BEAT_SECONDS

QUEUE: Final = "main"
_ASK_SECONDS: Final = 1.0
_TOKEN_SECONDS: Final = 300.0
"""Half of what a token lasts."""


@dataclass(kw_only=True)
class PlayedCollector(ScriptedCollector):
    """One that tells of all its pools once, and of one whose pods have changed at once."""

    held: bool = True
    _changed_pools: set[str] = field(default_factory=set)

    def changed(self, pool: str) -> None:
        """The pool has other pods now."""
        self._changed_pools.add(pool)
        self._changed.set()

    async def _report_for_ever(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError, OSError):
            for pool in self.scripts:
                await self._report(stream, pool)
            while True:
                await self._until_next_beat(stream)
                holds = protocol.Holds(clock=time.monotonic(), age_seconds=REPORT_MAX_SECONDS)
                await stream.send_str(holds.model_dump_json())

    async def _until_next_beat(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        until = time.monotonic() + BEAT_SECONDS
        while (left := until - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
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
    _played: dict[str, PlayedCollector] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self) -> None:
        """Start all."""
        for place in self.names:
            self.begin(place)

    def begin(self, place: str) -> None:
        """Start that of one namespace."""
        self._played[place] = one = self._make(place)
        for pool in self.names[place]:
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
