"""A pool that is gone, of which the operator has heard only that its children went."""

from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.controller.keys import NamespaceKey, PoolKey
from workerpool_operator.controller.queue import Outcome, WorkQueue
from workerpool_operator.controller.reconcile import PoolReconciler
from workerpool_operator.controller.router import Router
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import errors, kinds
from workerpool_operator.kube.kinds import Kind
from workerpool_operator.serve.state import StreamState

KEY: Final = PoolKey("media", "thumbs")


def pool(*, observed: int = 1, **metadata: Any) -> dict[str, Any]:
    """One that has been dealt with before."""
    body = pool_body(scaling={"mode": "manual"}, replicas=2)
    body["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "9", **metadata}
    return body | {"status": {"observedGeneration": observed}}


@dataclass
class Server:
    """Has these pools, and takes every write but to the status of one that it does not have."""

    pools: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False
    listed: list[Kind] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        if subresource == "status" and not self.pools:
            raise errors.NotFound("no such pool")
        self.made.append(f"{body['kind']} {subresource}".rstrip())
        return body | {"metadata": {**body["metadata"], "uid": body["kind"], "resourceVersion": "10"}}

    async def all(self) -> list[dict[str, Any]]:
        if self.away:
            raise errors.Unavailable("away")
        return self.pools

    def list(self, kind: Kind, **_: Any) -> "Server":
        self.listed.append(kind)
        return self


class Marks:
    """What is due."""

    def __init__(self) -> None:
        self.keys: list[object] = []

    def mark(self, key: object) -> None:
        self.keys.append(key)


def reconciler_of(server: Server, known: dict[str, Any]) -> tuple[PoolReconciler, Store, Marks]:
    store, marks = Store(), Marks()
    store.put(kinds.WORKER_POOL, known)
    streams = StreamState(on_change=lambda *_: None)
    streams.set_role(leader=True, epoch=1)
    router = Router(store, cast("WorkQueue", marks))
    return pool_reconciler(kube=server, store=store, streams=streams, gone=router.gone), store, marks


@pytest.mark.parametrize(
    "there",
    [[], [pool(uid="another")], [pool(deletionTimestamp="2026-01-01T00:00:00Z")]],
    ids=["none", "another of its name", "one on its way out"],
)
async def test_nothing_is_made_anew_for_a_pool_that_is_gone(there: list[dict[str, Any]]) -> None:
    """Else Kubernetes collects it as garbage, which is news, for which it is made again, until the other news comes."""
    server = Server(pools=there)
    reconciler, store, marks = reconciler_of(server, pool())
    assert await reconciler.reconcile(KEY) == Outcome()
    assert (server.made, server.listed) == ([], [kinds.WORKER_POOL])
    assert store.get(kinds.WORKER_POOL, KEY.namespace, KEY.name) is None
    assert marks.keys == [KEY, NamespaceKey("media")], "the namespace's collector may not be wanted any more"


async def test_drift_of_a_pool_that_is_there_is_mended() -> None:
    server = Server(pools=[pool()])
    reconciler, _, _ = reconciler_of(server, pool())
    await reconciler.reconcile(KEY)
    assert "Deployment" in server.made


async def test_nobody_is_asked_about_a_new_pool() -> None:
    """Of thousands that come at once."""
    server = Server(pools=[pool()])
    reconciler, _, _ = reconciler_of(server, pool(observed=0))
    await reconciler.reconcile(KEY)
    assert "Deployment" in server.made
    assert server.listed == []


async def test_a_new_pool_is_forgotten_whose_status_cannot_be_written() -> None:
    """It was deleted before the operator was done with it for the first time."""
    reconciler, store, marks = reconciler_of(Server(), pool(observed=0))
    await reconciler.reconcile(KEY)
    assert store.get(kinds.WORKER_POOL, KEY.namespace, KEY.name) is None
    assert marks.keys == [KEY, NamespaceKey("media")]


async def test_without_an_answer_nothing_is_made() -> None:
    """And the pool stays known: it may well be there."""
    server = Server(away=True)
    reconciler, store, _ = reconciler_of(server, pool())
    assert await reconciler.reconcile(KEY) == Outcome(failed=True)
    assert server.made == []
    assert store.get(kinds.WORKER_POOL, KEY.namespace, KEY.name) is not None
