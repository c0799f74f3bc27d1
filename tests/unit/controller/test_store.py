"""The store keeps the newest, forgets the dead, and finds a pool's children."""

from typing import Any

from workerpool_operator.controller.store import Store
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import kinds


def thing(name: str, version: int, *, uid: str = "", pool: str = "p", **more: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "ns",
        "name": name,
        "uid": uid or name,
        "resourceVersion": str(version),
        "labels": {POOL_LABEL: pool} if pool else {},
        "managedFields": [{"manager": "x"}],
    }
    return {"metadata": metadata, **more}


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = Store()
    assert store.put(kinds.DEPLOYMENT, thing("a", 5, spec={"n": 5}))
    assert not store.put(kinds.DEPLOYMENT, thing("a", 4, spec={"n": 4}))
    assert not store.put(kinds.DEPLOYMENT, thing("a", 5, spec={"n": 5}))
    stored = store.get(kinds.DEPLOYMENT, "ns", "a")
    assert stored is not None
    assert stored.unpack()["spec"] == {"n": 5}


def test_what_nobody_compares_is_not_kept() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, thing("a", 1))
    stored = store.get(kinds.DEPLOYMENT, "ns", "a")
    assert stored is not None
    assert "managedFields" not in stored.unpack()["metadata"]


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, thing("a", 1, uid="one"))
    assert store.drop(kinds.DEPLOYMENT, "ns", "a", uid="one")
    assert not store.put(kinds.DEPLOYMENT, thing("a", 2, uid="one"))
    assert store.put(kinds.DEPLOYMENT, thing("a", 3, uid="two"))


def test_the_dead_are_forgotten_after_a_quarter_of_an_hour() -> None:
    """Ten thousand uids were 2 MB, which an operator with pools that come and go grew by within an hour."""
    now = 0.0
    store = Store(clock=lambda: now)
    for number in range(100):
        store.put(kinds.DEPLOYMENT, thing(f"a-{number}", 5))
        store.drop(kinds.DEPLOYMENT, "ns", f"a-{number}")
    now = 899.0
    assert not store.put(kinds.DEPLOYMENT, thing("a-99", 6))
    now = 901.0
    store.put(kinds.DEPLOYMENT, thing("b", 7))
    store.drop(kinds.DEPLOYMENT, "ns", "b")
    assert len(store._buried) == 1


def test_an_object_that_has_lost_its_label_is_missing_until_a_newer_version_has_it_again() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, thing("a", 3, uid="one"))
    assert not store.lose(kinds.DEPLOYMENT, thing("a", 2, uid="one"))
    assert not store.lose(kinds.DEPLOYMENT, thing("b", 4, uid="other"))
    assert store.lose(kinds.DEPLOYMENT, thing("a", 4, uid="one"))
    assert store.get(kinds.DEPLOYMENT, "ns", "a") is None
    assert not store.put(kinds.DEPLOYMENT, thing("a", 4, uid="one"))
    assert store.put(kinds.DEPLOYMENT, thing("a", 5, uid="one"))


def test_what_a_list_lacked_is_seen_again_in_a_newer_version() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, thing("a", 3, uid="one"))
    store.drop_unseen(kinds.DEPLOYMENT, (), listed_at=7)
    assert not store.put(kinds.DEPLOYMENT, thing("a", 6, uid="one"))
    assert store.put(kinds.DEPLOYMENT, thing("a", 8, uid="one"))


def test_the_deletion_of_a_former_object_of_that_name_is_ignored() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, thing("a", 3, uid="two"))
    assert not store.drop(kinds.DEPLOYMENT, "ns", "a", uid="one")
    assert store.get(kinds.DEPLOYMENT, "ns", "a") is not None


def test_children_are_found_by_their_pool_and_follow_a_change_of_label() -> None:
    store = Store()
    store.put(kinds.DEPLOYMENT, thing("a", 1, pool="p"))
    store.put(kinds.DEPLOYMENT, thing("b", 2, pool="p"))
    store.put(kinds.DEPLOYMENT, thing("a", 3, pool="q"))
    assert set(store.children(kinds.DEPLOYMENT, "ns", "p")) == {"b"}
    assert set(store.children(kinds.DEPLOYMENT, "ns", "q")) == {"a"}
    store.drop(kinds.DEPLOYMENT, "ns", "b")
    assert not store.children(kinds.DEPLOYMENT, "ns", "p")


def test_a_listing_drops_what_it_lacks_but_not_what_is_newer_than_itself() -> None:
    store = Store()
    for name, version in [("kept", 1), ("lost", 2), ("newborn", 30)]:
        store.put(kinds.DEPLOYMENT, thing(name, version))
    gone = store.drop_unseen(kinds.DEPLOYMENT, {("ns", "kept")}, listed_at=20)
    assert [(namespace, name, stored.pool) for namespace, name, stored in gone] == [("ns", "lost", "p")]
    assert set(store.names(kinds.DEPLOYMENT, "ns")) == {"kept", "newborn"}
