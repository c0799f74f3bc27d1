"""What is remembered of a pool goes with the pool, not with its name."""

from typing import Any

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.waking import AHEAD_WORKERS
from workerpool_operator.kube import errors, kinds
from workerpool_operator.protocol import QueueSample, Samples
from workerpool_operator.serve.state import Peer, StreamState

KEY = PoolKey("media", "thumbs")


class Server:
    """Takes every write, and remembers the sizes that were asked for."""

    def __init__(self) -> None:
        self.version = 100
        self.sizes: list[int] = []

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        self.version += 1
        if body["kind"] == "Deployment":
            self.sizes.append(body["spec"]["replicas"])
        known = {"uid": f"{body['kind']}-{self.version}", "resourceVersion": str(self.version)}
        return {**body, "metadata": {**body["metadata"], **known}}


def pool(*, uid: str, version: int) -> dict[str, Any]:
    body = pool_body()
    body["metadata"] |= {"uid": uid, "generation": 1, "resourceVersion": str(version)}
    return body


async def test_a_pool_made_anew_is_not_sized_by_the_jobs_of_its_predecessor() -> None:
    """The news of the deletion and of the new pool may be taken up in one look."""
    server, store, streams = Server(), Store(), StreamState(on_change=lambda *_: None)
    streams.set_role(leader=True, epoch=1)
    reconciler = pool_reconciler(kube=server, store=store, streams=streams)
    store.put(kinds.WORKER_POOL, pool(uid="old", version=1))
    reading = QueueSample(queue="main", age_seconds=0.0, waiting=500, in_flight=0)
    streams.receive(Peer(namespace="media", pod="c"), Samples(pool="thumbs", samples=(reading,)))
    await reconciler.reconcile(KEY)
    assert server.sizes == [AHEAD_WORKERS]
    store.drop(kinds.WORKER_POOL, "media", "thumbs", uid="old")
    for kind in (kinds.DEPLOYMENT, kinds.CONTROLLER_REVISION, kinds.POD_DISRUPTION_BUDGET):
        for name in list(store.names(kind, "media")):
            store.drop(kind, "media", name)
    store.put(kinds.WORKER_POOL, pool(uid="new", version=50))
    await reconciler.reconcile(KEY)
    assert server.sizes == [AHEAD_WORKERS, 0]


class Keeper(Server):
    """Has the Deployment that was made first, and refuses to make it once more."""

    def __init__(self) -> None:
        super().__init__()
        self.deployment: dict[str, Any] = {}
        self.statuses: list[dict[str, Any]] = []

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        if body["kind"] == "Deployment" and self.deployment:
            raise errors.Conflict("it is there")
        answer = await super().apply(body, subresource=subresource)
        if body["kind"] == "Deployment":
            self.deployment = answer
        if subresource == "status":
            self.statuses.append(body["status"])
        return answer

    async def all(self) -> list[dict[str, Any]]:
        return [self.deployment]

    def list(self, *_: Any, **__: Any) -> "Keeper":
        return self

    async def merge_patch(self, _: object, patch: dict[str, Any], **__: Any) -> dict[str, Any]:
        return {**self.deployment, "metadata": {**self.deployment["metadata"], **patch["metadata"]}}


async def test_a_pool_whose_deployment_was_not_recognised_is_not_said_to_have_no_workers() -> None:
    """Somebody took its label: it is put back, and only what is planned with it is told."""
    server, store, streams = Keeper(), Store(), StreamState(on_change=lambda *_: None)
    reconciler = pool_reconciler(kube=server, store=store, streams=streams)
    store.put(kinds.WORKER_POOL, pool(uid="1", version=1))
    await reconciler.reconcile(KEY)
    await reconciler.reconcile(KEY)
    told = server.statuses[-1]
    assert [version["role"] for version in told["versions"]] == ["stable"]
    store.drop(kinds.DEPLOYMENT, "media", server.deployment["metadata"]["name"])
    outcome = await reconciler.reconcile(KEY)
    assert server.statuses[-1] is told
    assert outcome.look_again is not None
    assert not outcome.failed
    await reconciler.reconcile(KEY)
    assert all(status["versions"] for status in server.statuses[server.statuses.index(told) :])
