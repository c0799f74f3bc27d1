"""One pool that somebody looks at: its pods, its events, what its collector says, and the last minutes of that."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

from workerpool_operator.domain.desired import COLLECTOR_NAME, POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, kinds
from workerpool_operator.ui import figures
from workerpool_operator.ui.feed import Bell, Feed
from workerpool_operator.ui.figures import Figures
from workerpool_operator.ui.series import STEP_SECONDS, Moment, Series
from workerpool_operator.ui.shared import Mirror

Json = dict[str, Any]

_COLLECTOR_SECONDS: Final = 3.0
_RATE_SECONDS: Final = 10.0
"""Throughput is over so long: of two seconds it would jump between 0 and 1 for slow jobs."""


class Room:
    """Of one pool. `start` it, and `stop` it."""

    def __init__(self, access: ClusterAccess, kube: Kube, *, namespace: str, name: str, bell: Bell) -> None:
        self.seen_at = time.monotonic()
        self.series = Series()
        self.now: Figures | None = None
        self.rates: Mapping[str, float] = {}
        """Jobs per second, by pod."""
        self.silence = ""
        """Why the collector tells nothing; empty while it does."""
        self._access = access
        self._namespace = namespace
        self._name = name
        self._bell = bell
        self._earlier: list[Figures] = []
        self._task: asyncio.Task[None] | None = None
        self.pods = Feed(
            "pods",
            lambda changed: Mirror(
                access,
                kube,
                kinds.POD,
                namespace=namespace,
                label_selector=f"{POOL_LABEL}={name}",
                on_change=changed,
            ),
            bell=bell,
        )
        about = f"regarding.kind={kinds.WORKER_POOL.kind},regarding.name={name}"
        self.events = Feed(
            "events",
            lambda changed: Mirror(access, kube, kinds.EVENT, namespace=namespace, fields=about, on_change=changed),
            bell=bell,
        )

    @property
    def feeds(self) -> tuple[Feed, Feed]:
        """What watches."""
        return self.pods, self.events

    def start(self, pool: Callable[[], Json | None]) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(pool))

    def stop(self) -> "asyncio.Task[None]":
        """The task to cancel and to wait for."""
        assert self._task is not None, "it was started"
        return self._task

    async def _run(self, pool: Callable[[], Json | None]) -> None:
        async with asyncio.TaskGroup() as parts:
            for feed in self.feeds:
                parts.create_task(feed.run())
            parts.create_task(self._sample(pool))

    async def _sample(self, pool: Callable[[], Json | None]) -> None:
        async with self._access.watch_session() as session:
            while True:
                started = time.monotonic()
                await self._ask(session)
                self.series.add(self._moment(pool() or {}))
                self._bell.ring()
                await asyncio.sleep(max(0.1, STEP_SECONDS - (time.monotonic() - started)))

    def _moment(self, pool: Json) -> Moment:
        status = pool.get("status") or {}
        scaling = status.get("scaling") or {}
        told, ages = self.now, [queue.get("oldestAgeSeconds") for queue in status.get("queues") or ()]
        oldest = max((age for age in ages if age is not None), default=None)
        return Moment(
            at=time.monotonic(),
            depth=told.waiting if told and told.waiting is not None else scaling.get("depth"),
            ready=status.get("readyReplicas"),
            desired=scaling.get("desired"),
            wait=told.oldest_seconds if told and told.oldest_seconds is not None else oldest,
            throughput=told.per_second(self._before(told)) if told else None,
        )

    def _before(self, now: Figures) -> Figures | None:
        return next((one for one in self._earlier if now.at - one.at <= _RATE_SECONDS), None)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        service = kinds.SERVICE.path(namespace=self._namespace, name=f"{COLLECTOR_NAME}:metrics", subresource="proxy")
        try:
            async with (
                asyncio.timeout(_COLLECTOR_SECONDS),
                session.get(f"{self._access.server}{service}/v1/state", params={"pool": self._name}) as answer,
            ):
                if answer.status != 200:  # noqa: PLR2004
                    self._say(_why(answer.status))
                    return
                told = figures.read(json.loads(await answer.read()), self._name, at=time.monotonic())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            self._say("The namespace's collector does not answer: does its pod run?")
            return
        if told is None:
            self._say("The namespace's collector does not know this pool yet.")
            return
        self.silence = ""
        self.now = told
        self._earlier = [one for one in self._earlier if told.at - one.at <= _RATE_SECONDS]
        self.rates = told.by_pod(self._before(told))
        self._earlier.append(told)

    def _say(self, why: str) -> None:
        self.silence, self.now, self.rates, self._earlier = why, None, {}, []


def _why(status: int) -> str:
    match status:
        case 403:
            return "Throughput and jobs of single workers need the right to get services/proxy here."
        case 404:
            return "There is no collector in this namespace: the operator makes one with the first pool."
        case _:
            return "The namespace's collector does not answer: does its pod run?"
