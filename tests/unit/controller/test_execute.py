"""What the store learns from the answers to the operator's own writes."""

from typing import Any, cast

from tests.support.pools import pool_body
from workerpool_operator.api import WorkerPoolStatus, parse
from workerpool_operator.controller.execute import Executor
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import Kube, kinds


class Server:
    """Answers a status write with what it then has."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        assert subresource == "status"
        return self.answer | {"status": body["status"]}


def stored(*, generation: int, version: int) -> dict[str, Any]:
    body = pool_body()
    body["metadata"] |= {"generation": generation, "resourceVersion": str(version)}
    return body


async def write_status(answer: dict[str, Any]) -> Store:
    """A status write onto a pool of generation 1; give the store after it."""
    store = Store()
    before = stored(generation=1, version=10)
    store.put(kinds.WORKER_POOL, before)
    executor = Executor(kube=cast("Kube", Server(answer)), store=store)
    assert await executor.write_status(parse(before), WorkerPoolStatus(replicas=3)) is None
    return store


async def test_the_store_has_the_status_that_was_written() -> None:
    """The next plan starts from it, however late the watch is."""
    store = await write_status(stored(generation=1, version=11))
    found = store.get(kinds.WORKER_POOL, "media", "thumbs")
    assert found is not None
    assert found.unpack()["status"]["replicas"] == 3


async def test_a_wish_that_came_just_before_a_status_write_is_left_to_the_watch() -> None:
    """Else its event would pass for an echo of the status write, and the wish would be forgotten."""
    store = await write_status(stored(generation=2, version=12))
    assert store.put(kinds.WORKER_POOL, stored(generation=2, version=11)), "the watch's event passes for an echo"
