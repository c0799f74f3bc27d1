"""Who is lost: by streams, Leases and pods without a node, and by neither of them alone."""

from collections import Counter

import pytest

from workerpool_operator.domain.placement import Sighting, Silence, silence, suspects

TIMEOUT = 30.0


def seen(uid: str, silent: float, *, node: str = "n1", terminating: bool = False) -> Sighting:
    return Sighting(uid=uid, deployment="web", node=node, silent_seconds=silent, terminating=terminating)


def found(*sightings: Sighting, stands: bool = True, listening: bool = True) -> Silence:
    leases = {"n1": stands, "n2": False}
    return silence(sightings, leases, timeout=TIMEOUT, listening=listening)


def test_a_node_is_silent_when_all_its_workers_are_and_its_lease_stands_still() -> None:
    quiet = found(seen("a", 30), seen("b", 99))
    assert (quiet.nodes, quiet.uids, quiet.lost) == (("n1",), frozenset("ab"), Counter(web=2))


@pytest.mark.parametrize(("silent", "known"), [(29.0, {}), (99.0, {"stands": False}), (99.0, {"listening": False})])
def test_each_of_the_three_saves_it(silent: float, known: dict[str, bool]) -> None:
    """One worker is heard, the Lease is renewed, or nobody listens."""
    quiet = found(seen("a", 99), seen("b", silent), **known)
    assert (quiet.nodes, quiet.uids, quiet.lost) == ((), frozenset(), Counter())


def test_a_lease_that_is_not_known_proves_nothing() -> None:
    assert silence([seen("a", 99)], {}, timeout=TIMEOUT, listening=True).nodes == ()


def test_a_pod_that_is_being_deleted_there_is_fenced_and_not_counted() -> None:
    quiet = found(seen("a", 99, terminating=True), seen("b", 99))
    assert (quiet.uids, quiet.lost) == (frozenset("ab"), Counter(web=1))


def test_a_pod_that_finds_no_node_is_lost_after_the_timeout_and_not_fenced() -> None:
    quiet = found(seen("a", 30, node=""), seen("b", 29, node=""), seen("c", 99, node="", terminating=True))
    assert (quiet.uids, quiet.lost) == (frozenset(), Counter(web=1))


def test_the_next_look_comes_when_the_first_timeout_ends() -> None:
    assert found(seen("a", 12)).look_again == 18
    assert found(seen("a", 12), seen("b", 20, node="n2")).look_again == 10
    assert found(seen("a", 12), seen("b", 20, node="")).look_again == 10
    assert found(seen("a", 1)).look_again is None


def test_a_lease_is_looked_at_where_a_worker_has_not_been_heard_for_a_while() -> None:
    assert suspects([seen("a", 10), seen("b", 9, node="n2"), seen("c", 99, node="")]) == {"n1"}
