"""What is remembered of a pool goes with the pool, not with its name."""

from typing import Any

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import kinds
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
    assert server.sizes == [1]
    store.drop(kinds.WORKER_POOL, "media", "thumbs", uid="old")
    for kind in (kinds.DEPLOYMENT, kinds.CONTROLLER_REVISION, kinds.POD_DISRUPTION_BUDGET):
        for name in list(store.names(kind, "media")):
            store.drop(kind, "media", name)
    store.put(kinds.WORKER_POOL, pool(uid="new", version=50))
    await reconciler.reconcile(KEY)
    assert server.sizes == [1, 0]
