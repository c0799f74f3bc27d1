"""An operator that looks after some namespaces: one that may not be read is closed, and opened again."""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import msgspec
import pytest

from tests.support.pools import pool_body
from workerpool_operator.controller import resync as module
from workerpool_operator.controller.resync import Resync
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.snapshot import Absence
from workerpool_operator.kube import Kube, errors, kinds
from workerpool_operator.kube.kinds import Kind
from workerpool_operator.kube.listing import entries_of

NO = errors.Forbidden("no")


def stored(name: str, namespace: str, *, version: int = 1) -> dict[str, Any]:
    body = pool_body(name, namespace)
    return {**body, "metadata": {**body["metadata"], "uid": f"{namespace}/{name}", "resourceVersion": str(version)}}


class Server:
    """Lists what it holds, and refuses what `refuses` says."""

    def __init__(self) -> None:
        self.pools: list[dict[str, Any]] = []
        self.asked: list[tuple[Kind, str | None]] = []
        self.refuses: Callable[[Kind, str | None], bool] = lambda kind, namespace: False

    def list(self, kind: Kind, *, namespace: str | None = None, **_: Any) -> "Listing":
        self.asked.append((kind, namespace))
        held = self.pools if kind == kinds.WORKER_POOL else []
        found = [one for one in held if namespace in (None, one["metadata"]["namespace"])]
        return Listing(found, refused=self.refuses(kind, namespace))

    def entries(self, kind: Kind, *, namespace: str | None = None, **_: Any) -> "Listing":
        listing = self.list(kind, namespace=namespace)
        listing.items = entries_of(kind, msgspec.json.encode({"items": listing.items})).items
        return listing


class Listing:
    resource_version = "100"

    def __init__(self, items: list[Any], *, refused: bool) -> None:
        self.items, self._refused = items, refused

    async def __aiter__(self) -> AsyncIterator[Any]:
        if self._refused:
            raise NO
        for item in self.items:
            yield item


class Bench:
    def __init__(self, *namespaces: str) -> None:
        self.server, self.store = Server(), Store()
        self.marked: list[tuple[str, str]] = []
        self.resync = Resync(
            cast("Kube", self.server),
            self.store,
            changed=lambda _, namespace, name, __: self.marked.append((namespace, name)),
            namespaces=namespaces,
        )
        self.server.pools = [stored("one", "a"), stored("one", "b"), stored("one", "c")]

    def known(self) -> set[str]:
        return set(self.store.namespaces(kinds.WORKER_POOL))


async def test_only_its_namespaces_are_listed_each_by_itself() -> None:
    """What belongs to none is listed as ever."""
    bench = Bench("a", "b")
    await bench.resync.everything()
    assert bench.known() == {"a", "b"}
    where = {kind: [place for asked, place in bench.server.asked if asked == kind] for kind, _ in bench.server.asked}
    assert where[kinds.NAMESPACE] == where[kinds.WORKER_POOL_BUDGET] == [None]
    assert all(places == ["a", "b"] for kind, places in where.items() if kind.namespaced)


async def test_without_any_all_are_listed_at_once() -> None:
    bench = Bench()
    await bench.resync.everything()
    assert bench.known() == {"a", "b", "c"}
    assert {namespace for _, namespace in bench.server.asked} == {None}


async def test_what_one_namespace_lacks_is_not_missed_in_another() -> None:
    bench = Bench("a", "b")
    await bench.resync.everything()
    del bench.server.pools[0]
    await bench.resync.everything()
    assert bench.known() == {"b"}


async def test_one_that_may_not_be_read_is_closed_and_the_others_are_not() -> None:
    bench = Bench("a", "b")
    bench.server.refuses = lambda kind, namespace: namespace == "a"
    await bench.resync.everything()
    assert (bench.resync.closed("a"), bench.resync.closed("b")) == (True, False)
    assert bench.known() == {"b"}
    assert [kind for kind, namespace in bench.server.asked if namespace == "a"] == [kinds.WORKER_POOL]


async def test_one_is_closed_also_when_the_rights_go_in_the_middle() -> None:
    """What is known of its pools stays, and nobody acts upon it."""
    bench = Bench("a", "b")
    bench.server.refuses = lambda kind, namespace: namespace == "a" and kind == kinds.DEPLOYMENT
    await bench.resync.everything()
    assert bench.resync.closed("a")
    assert bench.known() == {"a", "b"}


async def test_rights_that_went_are_not_taken_for_a_kind_that_is_kept_from_the_operator() -> None:
    """An optional kind that is refused alone is done without, in all namespaces; with all others it closes one."""
    alone = Bench("a", "b")
    alone.server.refuses = lambda kind, namespace: kind == kinds.SCALED_OBJECT and namespace == "a"
    await alone.resync.everything()
    assert alone.store.absence(kinds.SCALED_OBJECT) is Absence.FORBIDDEN
    assert not alone.resync.closed("a")
    gone = Bench("a", "b")
    await gone.resync.everything()
    gone.server.refuses = lambda kind, namespace: namespace == "a"
    await gone.resync._try(kinds.SCALED_OBJECT)
    assert gone.store.absence(kinds.SCALED_OBJECT) is None
    assert gone.resync.closed("a")


async def test_a_refusal_of_all_namespaces_at_once_is_an_error() -> None:
    bench = Bench()
    bench.server.refuses = lambda kind, namespace: kind == kinds.DEPLOYMENT
    with pytest.raises(errors.Forbidden):
        await bench.resync.everything()


async def test_it_is_opened_when_all_of_it_has_been_listed_again_and_its_pools_are_due() -> None:
    """Not before: planning from half a store would take running workers for missing ones."""
    bench = Bench("a", "b")
    bench.server.refuses = lambda kind, namespace: namespace == "a"
    await bench.resync.everything()
    bench.server.refuses = lambda kind, namespace: namespace == "a" and kind == kinds.NETWORK_POLICY
    await bench.resync._reopen("a")
    assert bench.resync.closed("a")
    bench.server.refuses = lambda kind, namespace: False
    bench.marked.clear()
    await bench.resync._reopen("a")
    assert not bench.resync.closed("a")
    assert ("a", "one") in bench.marked
    listed = {kind for kind, namespace in bench.server.asked if namespace == "a"}
    assert listed >= {kind for kind in module.LISTED if kind.namespaced and not kind.optional}


async def test_a_new_term_looks_at_all_of_them_again() -> None:
    bench = Bench("a", "b")
    bench.server.refuses = lambda kind, namespace: namespace == "a"
    await bench.resync.everything()
    bench.server.refuses = lambda kind, namespace: False
    await bench.resync.everything()
    assert not bench.resync.closed("a")
    assert bench.known() == {"a", "b"}
