"""A pool that was deleted and made anew under its old name is another pool."""

from typing import Any

from tests.support.pools import pool_body
from workerpool_operator.controller.keys import NamespaceKey, PoolKey
from workerpool_operator.controller.router import Router
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import kinds


class Due:
    def __init__(self) -> None:
        self.keys: list[object] = []

    def mark(self, key: object) -> None:
        self.keys.append(key)


def pool(*, uid: str, version: int) -> dict[str, Any]:
    body = pool_body()
    body["metadata"] |= {"uid": uid, "generation": 1, "resourceVersion": str(version)}
    return body


def test_a_pool_whose_predecessors_deletion_was_missed_is_due() -> None:
    """A broken watch may lose the deletion; the new pool asks for the same and is no echo of a status write."""
    due = Due()
    router = Router(Store(), due)  # type: ignore[arg-type]
    router.observed(kinds.WORKER_POOL, pool(uid="old", version=10))
    due.keys.clear()
    router.observed(kinds.WORKER_POOL, pool(uid="new", version=20))
    assert due.keys == [PoolKey("media", "thumbs"), NamespaceKey("media")]


def test_a_child_that_lost_its_label_makes_the_pool_due_that_it_was_of() -> None:
    """Its pool puts the label back."""
    due = Due()
    router = Router(Store(), due)  # type: ignore[arg-type]
    metadata = {"namespace": "media", "name": "thumbs-1", "uid": "u1", "resourceVersion": "1"}
    labels = {"labels": {POOL_LABEL: "thumbs"}}
    router.observed(kinds.DEPLOYMENT, {"metadata": metadata | labels})
    due.keys.clear()
    router.observed(kinds.DEPLOYMENT, {"metadata": metadata | {"resourceVersion": "2"}})
    assert PoolKey("media", "thumbs") in due.keys
