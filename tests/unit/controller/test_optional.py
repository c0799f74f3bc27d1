"""Kinds that a cluster may lack: found, lost, refused, and in no case in the way of what a pool needs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from tests.support.pools import pool, pool_body
from tests.support.reconciler import pool_reconciler
from tests.support.waiting import until
from workerpool_operator.api import Reason
from workerpool_operator.controller import resync
from workerpool_operator.controller.execute import OPTIONAL_RETRY_SECONDS, Executor, Failure
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.refusals import refusals
from workerpool_operator.controller.resync import Resync
from workerpool_operator.controller.store import Store
from workerpool_operator.domain import desired
from workerpool_operator.domain.objects import Apply, Delete
from workerpool_operator.domain.snapshot import Absence
from workerpool_operator.kube import Kube, errors, kinds
from workerpool_operator.kube.kinds import Kind
from workerpool_operator.kube.listing import entries_of
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.serve.state import StreamState

RULE = desired.prometheus_rule(pool(), settings=desired.RuleSettings())


def stored(body: dict[str, Any], *, version: int, uid: str = "1") -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "uid": uid, "resourceVersion": str(version)}}


class Server:
    """Answers writes with `error`, if there is one, and lists what it holds of the kinds that it serves."""

    def __init__(self) -> None:
        self.error: errors.KubeError | None = None
        self.listing_error: errors.KubeError | None = None
        self.held: dict[Kind, list[dict[str, Any]]] = {}
        self.asked = 0

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        self._ask()
        return stored(body, version=5)

    async def delete(self, *_: Any, **__: Any) -> None:
        self._ask()

    def list(self, kind: Kind, **_: Any) -> "Listing":
        return Listing(self.held.get(kind, []), self.listing_error if kind == kinds.PROMETHEUS_RULE else None)

    def entries(self, kind: Kind, **_: Any) -> "Listing":
        listing = self.list(kind)
        return Listing(entries_of(kind, msgspec.json.encode({"items": listing.items})).items, listing.error)

    def _ask(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


class Listing:
    resource_version = "100"

    def __init__(self, items: list[Any], error: errors.KubeError | None) -> None:
        self.items = items
        self.error = error

    async def __aiter__(self) -> AsyncIterator[Any]:
        if self.error is not None:
            raise self.error
        for item in self.items:
            yield item

    async def all(self) -> list[dict[str, Any]]:
        return [item async for item in self]


class Bench:
    """An executor and a resync on that server, and a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.server, self.store, self.now = Server(), Store(), 0.0
        self.marked: list[tuple[str, str]] = []
        kube = cast("Kube", self.server)
        self.executor = Executor(kube=kube, store=self.store, clock=lambda: self.now)
        self.resync = Resync(kube, self.store, changed=lambda kind, _, name, __: self.marked.append((str(kind), name)))
        self.server.held[kinds.WORKER_POOL] = [stored(pool_body(), version=1)]

    async def apply(self, body: dict[str, Any] = RULE) -> Failure | None:
        return next(iter(await self.executor.apply_all((Apply(body=body),))), None)

    async def delete(self, *, resource_version: str = "") -> list[Failure]:
        delete = Delete(kind="PrometheusRule", name="thumbs", uid="1", resource_version=resource_version)
        return await self.executor.delete_all("media", (delete,))

    async def list(self) -> list[tuple[str, str]]:
        """List everything; which objects were marked for it?"""
        self.marked.clear()
        await self.resync.everything()
        return list(self.marked)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Refused


async def test_a_refused_rule_is_not_asked_for_at_every_look(bench: Bench) -> None:
    bench.server.error = errors.Invalid("no")
    first, second = await bench.apply(), await bench.apply()
    assert first is not None
    assert second is not None
    assert (first.optional, first.repeated, second.repeated) == (True, False, True)
    assert bench.server.asked == 1


async def test_it_is_asked_for_again_when_the_time_has_come(bench: Bench) -> None:
    bench.server.error = errors.Unavailable("the webhook does not answer")
    await bench.apply()
    bench.now, bench.server.error = OPTIONAL_RETRY_SECONDS, None
    assert await bench.apply() is None
    assert bench.server.asked == 2


async def test_another_rule_is_tried_at_once(bench: Bench) -> None:
    bench.server.error = errors.Invalid("no")
    await bench.apply()
    mended = desired.prometheus_rule(pool(scaling={"maxReplicas": 2}), settings=desired.RuleSettings())
    bench.server.error = None
    assert await bench.apply(mended) is None
    assert await bench.apply() is None, "what was refused before is tried anew"


async def test_one_that_was_only_overtaken_is_not_taken_as_refused(bench: Bench) -> None:
    bench.server.error = errors.Conflict("changed")
    await bench.apply()
    await bench.apply()
    assert bench.server.asked == 2


async def test_what_a_pool_needs_is_asked_for_every_time(bench: Bench) -> None:
    budget = desired.disruption_budget(pool())
    bench.server.error = errors.Invalid("no")
    first, second = await bench.apply(budget), await bench.apply(budget)
    assert first is not None
    assert second is not None
    assert (first.optional, second.repeated) == (False, False)
    assert bench.server.asked == 2


async def test_a_deletion_that_is_refused_is_not_asked_for_at_every_look(bench: Bench) -> None:
    bench.server.error = errors.Forbidden("no")
    await bench.delete()
    (failure,) = await bench.delete()
    assert failure.repeated
    assert bench.server.asked == 1


async def test_a_rule_that_became_another_one_counts_as_gone(bench: Bench) -> None:
    """It is not watched: its uid in the store may be an old one, and stays so until the next listing."""
    bench.store.put(kinds.PROMETHEUS_RULE, stored(RULE, version=3))
    bench.server.error = errors.Conflict("another uid")
    assert await bench.delete() == []
    assert bench.store.get(kinds.PROMETHEUS_RULE, "media", "thumbs") is None


async def test_a_deletion_of_one_state_is_overtaken_by_another(bench: Bench) -> None:
    bench.server.error = errors.Conflict("changed")
    (failure,) = await bench.delete(resource_version="3")
    assert failure.overtaken


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.KindNotServed(), Reason.PROMETHEUS_RULE_KIND_MISSING),
        (errors.Forbidden(), Reason.FORBIDDEN),
        (errors.QuotaExceeded(), Reason.QUOTA_EXCEEDED),
        (errors.Invalid(), Reason.APPLY_REFUSED),
        (errors.AlreadyExists(), Reason.APPLY_REFUSED),
        (errors.Unavailable(), Reason.APPLY_REFUSED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, errors.KubeError) else "",
)
def test_whatever_keeps_a_rule_from_being_there_is_told(error: errors.KubeError, reason: Reason) -> None:
    """Of what a pool needs, only what a person must cure: the rest shows by itself."""
    (told,) = refusals([Failure(what="PrometheusRule media/thumbs", error=error, optional=True)])
    assert (told.reason, told.optional) == (reason, True)
    assert told.message.startswith("PrometheusRule media/thumbs: ")


def test_a_missing_keda_is_told_as_such() -> None:
    (told,) = refusals([Failure(what="ScaledObject media/thumbs", error=errors.KindNotServed(), optional=True)])
    assert (told.reason, told.kind, told.optional) == (Reason.KEDA_NOT_INSTALLED, "ScaledObject", True)


@pytest.mark.parametrize("error", [errors.Conflict(), errors.NamespaceTerminating()])
def test_what_passes_by_itself_is_not_told(error: errors.KubeError) -> None:
    assert refusals([Failure(what="PrometheusRule media/thumbs", error=error, optional=True)]) == ()


# In a reconcile


class Refusing(Server):
    """Takes everything but rules, and remembers the status that was written last."""

    def __init__(self) -> None:
        super().__init__()
        self.error = errors.Unavailable("failed calling webhook")
        self.status: dict[str, Any] = {}
        self.version = 100

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        if body["kind"] == "PrometheusRule":
            self._ask()
        self.version += 1
        self.status = body["status"] if subresource else self.status
        return stored(body, version=self.version, uid=body["kind"])


async def test_a_rule_that_is_refused_slows_nothing_else_down() -> None:
    """A backoff of the key would hold up its sizes; and each look would ask for the rule again."""
    server, store, streams = Refusing(), Store(), StreamState(on_change=lambda *_: None)
    streams.set_role(leader=True, epoch=1)
    metrics = OperatorMetrics()
    reconciler = pool_reconciler(kube=server, store=store, streams=streams, metrics=metrics)
    body = pool_body()
    body["metadata"] |= {"generation": 1, "resourceVersion": "1"}
    store.put(kinds.WORKER_POOL, body)
    first = await reconciler.reconcile(PoolKey("media", "thumbs"))
    second = await reconciler.reconcile(PoolKey("media", "thumbs"))
    for outcome in (first, second):
        assert not outcome.failed
        assert outcome.look_again is not None
        assert 1 < outcome.look_again <= OPTIONAL_RETRY_SECONDS
    assert server.asked == 1
    told = {one["type"]: (one["status"], one["reason"]) for one in server.status["conditions"]}
    assert told["Monitored"] == ("False", "ApplyRefused")
    assert told["Stalled"] == ("False", "NotStalled")


# Found and lost


async def test_a_cluster_without_the_kind_is_no_fault_and_every_pool_hears_of_it_once(bench: Bench) -> None:
    bench.server.listing_error = errors.KindNotServed()
    assert ("WorkerPool", "thumbs") in await bench.list()
    assert bench.store.absence(kinds.PROMETHEUS_RULE) is Absence.NOT_SERVED
    assert await bench.list() == []


async def test_a_kind_that_may_not_be_listed_is_no_fault_either(bench: Bench) -> None:
    bench.server.listing_error = errors.Forbidden()
    await bench.list()
    assert bench.store.absence(kinds.PROMETHEUS_RULE) is Absence.FORBIDDEN


async def test_a_kind_that_comes_is_found_and_every_pool_hears_of_it(bench: Bench) -> None:
    bench.server.listing_error = errors.KindNotServed()
    await bench.list()
    bench.server.listing_error = None
    assert await bench.list() == [("WorkerPool", "thumbs")]
    assert bench.store.absence(kinds.PROMETHEUS_RULE) is None


async def test_the_rules_of_a_kind_that_went_are_gone_and_may_come_back(bench: Bench) -> None:
    """An answer of 404 may be a mistake of a moment: the same objects are taken in again."""
    bench.server.held[kinds.PROMETHEUS_RULE] = [stored(RULE, version=3)]
    await bench.list()
    assert bench.store.children(kinds.PROMETHEUS_RULE, "media", "thumbs")
    bench.server.listing_error = errors.KindNotServed()
    await bench.list()
    assert not bench.store.children(kinds.PROMETHEUS_RULE, "media", "thumbs")
    bench.server.listing_error = None
    await bench.list()
    assert bench.store.children(kinds.PROMETHEUS_RULE, "media", "thumbs")


async def test_a_kind_that_matters_is_looked_for_more_often(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it matters; and an API server that does not answer ends nothing."""
    looked, needed, rests = 0, False, 0

    def listed(kind: Kind, **_: Any) -> Listing:
        nonlocal looked
        looked += 1
        return Listing([], [errors.Unavailable(), errors.KindNotServed(), None][looked - 1])

    async def rest(_: float) -> None:
        nonlocal rests, needed
        rests += 1
        needed = rests > 2
        if looked == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(bench.server, "list", listed)
    monkeypatch.setattr(asyncio, "sleep", rest)
    bench.store.put(kinds.WORKER_POOL, stored(pool_body(), version=1))
    with pytest.raises(asyncio.CancelledError):
        await bench.resync.run_soon(kinds.SCALED_OBJECT, while_=lambda: needed)
    assert (looked, rests) == (3, 6)
    assert bench.marked == [("WorkerPool", "thumbs"), ("WorkerPool", "thumbs")], "it was missing, and came"


@pytest.mark.parametrize("error", [errors.Unavailable(), errors.RequestTimeout()])
async def test_a_server_that_does_not_answer_says_nothing_about_a_kind(bench: Bench, error: errors.KubeError) -> None:
    bench.server.listing_error = error
    with pytest.raises(type(error)):
        await bench.resync.everything()
    assert bench.store.absence(kinds.PROMETHEUS_RULE) is None


async def test_a_kind_that_every_pool_needs_has_to_be_served(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: Kind, **_: Any) -> Listing:
        return Listing([], errors.KindNotServed() if kind == kinds.DEPLOYMENT else None)

    monkeypatch.setattr(bench.server, "list", refuse)
    with pytest.raises(errors.KindNotServed):
        await bench.resync.everything()


async def test_rights_that_were_away_for_a_moment_are_soon_seen_to_be_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pools say until then that the operator may not list a kind, and the comparison comes in minutes."""
    monkeypatch.setattr(resync, "AGAIN_SECONDS", 0.01)
    running = asyncio.create_task(bench.resync.run())
    try:
        bench.server.listing_error = errors.Forbidden("no")
        await bench.resync.everything()
        assert bench.store.absence(kinds.PROMETHEUS_RULE) is Absence.FORBIDDEN
        bench.server.listing_error = None
        await until(lambda: bench.store.absence(kinds.PROMETHEUS_RULE) is None, what="the kind may be listed again")
    finally:
        running.cancel()
        await asyncio.wait({running})
