"""What queues may answer: each wrong answer holds the size, says why, and is over by itself.

Here a real HTTP server gives the answers, a collector's sampler reads it, and the operator's reconciler writes the
status of a pool on a real API server. Where else what is wrong is tested:

| What | Where |
|---|---|
| a queue that vanishes | `collector/test_watching`; of each broker `sdk/test_*_failures` |
| garbage, NaN, negative, huge | `collector/test_questions`; of workers `unit/collector/test_review_hostile_workers` |
| a slow or half-open socket | `collector/test_questions`, `test_lists`, `test_watching` |
| a collector that stays connected and is silent | `hpa/test_silent_collector`; one that is gone, `e2e/test_bad_input` |
| a trace with holes | `unit/cli/test_simulate_together` |
| a budget that is deleted in use | `budget/test_budget` |
| a cron that never fires, an unknown time zone | `unit/domain/test_schedules`, `controller/test_scaling_status` |
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from tests.support.waiting import until
from workerpool.broker import Credentials
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.questions import HttpQuestion
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import Kube, ObjectRef, kinds
from workerpool_operator.protocol import PoolConfig, Samples
from workerpool_operator.serve.state import Peer, StreamState

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds"), pytest.mark.timeout(180)]

SIZE = 3
QUEUE = "main"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def saying(body: bytes, *, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status)

    return answer


async def hanging(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def half_open(request: web.Request) -> web.StreamResponse:
    """A head, and then nothing more."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    return response


WRONG: dict[str, tuple[Answer, str]] = {
    "vanished": (saying(b"", status=404), "QueueNotFound"),
    "garbage": (saying(b"\x00\xff<html>"), "BadAnswer"),
    "NaN": (saying(b'{"n": NaN}'), "BadAnswer"),
    "negative": (saying(b'{"n": -7}'), "BadAnswer"),
    "beyond all jobs": (saying(b'{"n": 1e300}'), "BadAnswer"),
    "slow": (hanging, "Unreachable"),
    "half open": (half_open, "Unreachable"),
}


class Scene:
    """A pool, its queue behind HTTP, a sampler, and a reconciler that hears of each reading."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace, self.answer = kube, namespace, saying(b'{"n": 15}')
        self.streams = StreamState(on_change=lambda *_: None)
        self.streams.set_role(leader=True, epoch=1)
        self.streams.attach(Peer(namespace=namespace, pod="collector"), self)
        self.store = Store()
        self.reconciler = pool_reconciler(kube=kube, store=self.store, streams=self.streams)
        self.board = Board(announce=lambda *_, **__: None)
        self.url = ""

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        async def handler(request: web.Request) -> web.StreamResponse:
            return await self.answer(request)

        app = web.Application()
        app.router.add_get("/", handler)
        server = TestServer(app)
        await server.start_server(shutdown_timeout=0.1)
        samplers = Samplers(self.board, connect=lambda *_: self._question(str(server.make_url("/"))), observer=self)
        pools = (PoolConfig(name="thumbs", uid="1", queues=({"name": QUEUE},)),)
        self.board.configure(pools)
        samplers.apply(pools)
        try:
            yield
        finally:
            await samplers.stop()
            await server.close()

    @staticmethod
    def _question(url: str) -> HttpQuestion:
        question = HttpQuestion(url, "$.n", Credentials(), timeout=0.3, forbidden=lambda _: False)
        question.poll_seconds = 0.1
        return question

    def send(self, subject: str, message: BaseModel) -> None:
        """What the operator orders is not obeyed here."""

    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
        """Nobody counts."""

    def news(self, error: str | None) -> Samples | None:
        """A reading of just now that has failed for this reason; for none: that has not."""
        message = self.board.samples_message("thumbs")
        fits = message and all(one.error == error and one.age_seconds < 1 for one in message.samples)
        return message if fits else None

    async def status(self, error: str | None = None) -> tuple[int, dict[str, tuple[str, str, str]]]:
        """The wanted size, and the conditions, after such a reading has been heard of."""
        ref = ObjectRef(kinds.WORKER_POOL, self.namespace, "thumbs")
        self.store.put(kinds.WORKER_POOL, await self.kube.get(ref))
        await until(lambda: self.news(error), what=f"a reading: {error or 'a good one'}")
        # Nothing is waited for from here to the reconciler's own look: a reading is old after five seconds.
        message = self.news(error)
        assert message is not None
        self.streams.receive(Peer(namespace=self.namespace, pod="collector"), message)
        await self.reconciler.reconcile(PoolKey(self.namespace, "thumbs"))
        found: dict[str, Any] = (await self.kube.get(ref))["status"]
        told = {one["type"]: (one["status"], one["reason"], one.get("message", "")) for one in found["conditions"]}
        return found["scaling"]["desired"], told

    async def is_well(self, *, wanted: int) -> None:
        """See the pool follow a good reading."""
        desired, told = await self.status()
        assert (desired, told["QueueReachable"][:2], told["ScalingActive"][0]) == (
            wanted,
            ("True", "SamplesFresh"),
            "True",
        )


def pool(namespace: str, **scaling: Any) -> dict[str, Any]:
    settings = {"mode": "direct", "maxReplicas": 9, "targets": {"queueDepthPerReplica": 5}, "cooldownSeconds": 0}
    body = pool_body("thumbs", namespace, scaling=settings | scaling, alerts={"enabled": False})
    del body["metadata"]["uid"]
    return body


async def test_each_wrong_answer_holds_the_size_says_why_and_is_over_by_itself(kube: Kube, namespace: str) -> None:
    """15 jobs at 5 a worker before and after each."""
    await kube.create(pool(namespace, minReplicas=1, scaleDown={"stabilizationSeconds": 0}))
    scene = Scene(kube, namespace)
    good = scene.answer
    async with scene.sampling():
        for what, (answer, reason) in WRONG.items():
            await scene.is_well(wanted=SIZE)
            scene.answer = answer
            desired, told = await scene.status(reason)
            assert (desired, told["QueueReachable"][:2]) == (SIZE, ("False", reason)), what
            assert QUEUE in told["QueueReachable"][2], what
            assert told["ScalingActive"][0] != "True", what
            scene.answer = good
        await scene.is_well(wanted=SIZE)


async def test_a_number_that_is_huge_and_may_be_true_takes_the_pool_to_its_bound(kube: Kube, namespace: str) -> None:
    """And the next one takes it back."""
    await kube.create(pool(namespace, scaleDown={"stabilizationSeconds": 0}))
    scene = Scene(kube, namespace)
    scene.answer = saying(b'{"n": 1e12}')
    async with scene.sampling():
        await scene.is_well(wanted=9)


async def test_a_schedule_that_never_fires_says_so_and_takes_no_worker(kube: Kube, namespace: str) -> None:
    """The pool follows its queue; mended, the schedule counts."""
    never = {"cron": "0 0 30 2 *", "durationSeconds": 3600, "minReplicas": 7}
    await kube.create(pool(namespace, schedules=[never]))
    scene = Scene(kube, namespace)
    async with scene.sampling():
        await scene.is_well(wanted=SIZE)
        ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
        terms = (await kube.get(ref))["status"]["scaling"]["terms"]
        said = next(one["message"] for one in terms if one["name"] == "schedules")
        assert "no time that ever comes" in said
        mended = {"cron": "* * * * *", "durationSeconds": 3600, "minReplicas": 7}
        await kube.merge_patch(ref, {"spec": {"scaling": {"schedules": [mended]}}})
        assert (await scene.status())[0] == 7
