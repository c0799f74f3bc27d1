"""What becomes of a pool with two places when nodes go and come."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.placement.stage import WALL, Stage, placed
from workerpool_operator.domain.scaling import Drain


def settled(size: int = 4, **placement: object) -> Stage:
    stage = Stage(spec={"placement": placed(**placement)}, size=size)
    stage.run(10)
    assert (stage.sizes(), stage.alive()) == ({"primary": size}, size)
    return stage


def test_lost_workers_are_made_up_for_in_the_other_place_within_the_timeout() -> None:
    stage = settled()
    stage.lose("a1")
    stage.run(29)
    assert stage.sizes() == {"primary": 4}
    stage.run(3)
    assert stage.sizes() == {"primary": 4, "secondary": 4}
    stage.run(5)
    assert stage.alive() == 4


def test_the_silent_are_fenced() -> None:
    stage = settled(2)
    silent = {one.name for one in stage.workers}
    stage.lose("a1")
    stage.run(35)
    assert silent <= stage.fenced


def test_through_eviction_and_a_long_outage_the_counts_stay() -> None:
    stage = settled()
    stage.lose("a1")
    stage.run(40)
    for _ in range(60):
        stage.run(5)
        assert (stage.sizes(), stage.alive()) == ({"primary": 4, "secondary": 4}, 4)


def test_workers_come_back_when_the_place_has_been_calm_for_a_minute_and_none_is_interrupted() -> None:
    stage = settled()
    stage.lose("a1")
    stage.run(120)
    stage.bring_back("a1")
    stage.run(55)
    assert stage.sizes() == {"primary": 4, "secondary": 4}
    stage.run(60)
    assert (stage.sizes(), stage.alive(), stage.interrupted) == ({"primary": 4}, 4, 0)


def test_they_come_back_a_few_at_a_time() -> None:
    stage = settled(20)
    stage.lose("a1")
    stage.run(90)
    stage.bring_back("a1")
    before = 20
    for _ in range(300):
        stage.run(1)
        after = stage.sizes().get("secondary", 0)
        assert before - 2 <= after <= before
        before = after
    assert (stage.sizes(), stage.interrupted) == ({"primary": 20}, 0)


def test_with_manual_failback_they_come_back_when_told() -> None:
    stage = settled(failback="Manual")
    stage.lose("a1")
    stage.run(90)
    stage.bring_back("a1")
    stage.run(300)
    assert stage.sizes() == {"primary": 4, "secondary": 4}
    stage.annotations["workerpool.dev/place"] = "primary"
    stage.run(60)
    assert stage.sizes() == {"primary": 4}


def test_with_manual_failback_each_failover_waits_for_a_word_of_its_own() -> None:
    """What was said after the last one stands on in the annotation, and is not said of this one."""
    stage = settled(failback="Manual")
    stage.annotations |= {"workerpool.dev/place": "primary", "workerpool.dev/place-said-at": said(hours=-1)}
    stage.lose("a1")
    stage.run(90)
    stage.bring_back("a1")
    stage.run(300)
    assert stage.sizes() == {"primary": 4, "secondary": 4}
    stage.annotations["workerpool.dev/place-said-at"] = said(minutes=5)
    stage.run(60)
    assert stage.sizes() == {"primary": 4}


def test_with_manual_failback_the_word_for_home_is_asked_for_wherever_home_is() -> None:
    """Who has moved the pool to its secondary place has not said that workers come back to it when it was lost."""
    stage = settled(failback="Manual")
    stage.annotations |= {"workerpool.dev/place": "secondary", "workerpool.dev/place-said-at": said(hours=-1)}
    stage.run(60)
    assert stage.sizes() == {"secondary": 4}
    stage.lose("b1")
    stage.run(90)
    stage.bring_back("b1")
    stage.run(300)
    assert stage.sizes() == {"primary": 4, "secondary": 4}


@pytest.mark.parametrize("lost_for", [40, 300])
def test_a_node_of_the_other_place_can_be_emptied_while_workers_are_lost(lost_for: int) -> None:
    """Those that are lost are not waited for: nobody knows when they come back. Kubernetes evicts them in between."""
    stage = settled()
    stage.lose("a1")
    stage.run(lost_for)
    assert (stage.sizes(), stage.alive()) == ({"primary": 4, "secondary": 4}, 4)
    leaving = {one.name for one in stage.workers if one.node == "b1"}
    stage.nodes = {"a1": "a", "b1": "b", "b2": "b"}  # who comes now comes to the last
    order = Drain(node="b1", begun=WALL + timedelta(hours=1), until=WALL + timedelta(hours=2))
    stage.annotations["workerpool.dev/drain-node"] = str(order)
    fewest = 4
    for _ in range(60):
        stage.run(1)
        fewest = min(fewest, stage.alive())
    assert {one.node for one in stage.workers if one.heard == stage.now} == {"b2"}
    assert leaving.isdisjoint(one.name for one in stage.workers)
    assert (fewest, stage.interrupted) == (3, 0), "one at a time"


def said(**later: float) -> str:
    """So long after the failover, which is at `WALL`."""
    return (WALL + timedelta(**later)).isoformat()


def test_a_node_that_comes_and_goes_moves_nobody() -> None:
    stage = settled()
    stage.lose("a1")
    stage.run(40)
    for _ in range(5):
        stage.bring_back("a1")
        stage.run(25)
        stage.lose("a1")
        stage.run(50)
        assert stage.sizes() == {"primary": 4, "secondary": 4}


def test_a_node_that_is_away_for_a_moment_moves_nobody() -> None:
    stage = settled()
    for _ in range(5):
        stage.lose("a1")
        stage.run(20)
        stage.bring_back("a1")
        stage.run(10)
        assert stage.sizes() == {"primary": 4}


def test_pods_that_find_no_room_go_to_the_other_place() -> None:
    stage = Stage(spec={"placement": placed()}, size=3, nodes={"b1": "b"})
    stage.run(29)
    assert stage.sizes() == {"primary": 3}
    stage.run(10)
    assert (stage.sizes(), stage.alive()) == ({"primary": 3, "secondary": 3}, 3)


def test_one_lost_node_of_two_costs_only_its_own_workers() -> None:
    stage = settled(4)
    for one in stage.workers[:2]:
        one.node = "a2"
    stage.nodes["a2"] = "a"
    stage.lose("a2")
    stage.run(35)
    assert (stage.sizes(), stage.alive()) == ({"primary": 4, "secondary": 2}, 4)
    stage.run(200)
    assert (stage.sizes(), stage.alive()) == ({"primary": 4}, 4)


def test_the_size_is_followed_while_workers_are_lost() -> None:
    stage = settled(4)
    stage.lose("a1")
    stage.run(40)
    stage.size = 7
    stage.run(10)
    assert stage.alive() == 7
    stage.size = 2
    stage.run(30)
    assert (stage.sizes(), stage.alive()) == ({"primary": 4, "secondary": 2}, 2)
    stage.bring_back("a1")
    stage.run(200)
    assert (stage.sizes(), stage.alive()) == ({"primary": 2}, 2)


def test_a_pool_goes_to_sleep_while_workers_are_lost() -> None:
    stage = settled(4)
    stage.lose("a1")
    stage.run(90)
    stage.size = 0
    stage.run(60)
    assert stage.sizes() == {}


def test_without_the_right_to_read_leases_eviction_is_waited_for() -> None:
    stage = settled()
    stage.readable = False
    stage.lose("a1")
    stage.run(80)
    assert stage.sizes() == {"primary": 4}
    stage.run(20)
    assert (stage.sizes(), stage.alive()) == ({"primary": 4, "secondary": 4}, 4)


def test_without_a_second_place_nothing_is_moved() -> None:
    stage = Stage(spec={"placement": {"primary": {"nodeSelector": {"zone": "a"}}}}, size=3)
    stage.run(10)
    stage.lose("a1")
    stage.run(200)
    assert stage.sizes() == {"primary": 3}


def test_a_migration_moves_worker_by_worker_and_interrupts_none() -> None:
    stage = settled(4)
    stage.annotations["workerpool.dev/place"] = "secondary"
    for _ in range(60):
        stage.run(1)
        assert stage.alive() >= 4
        assert sum(stage.sizes().values()) <= 5
    assert (stage.sizes(), stage.interrupted) == ({"secondary": 4}, 0)
    stage.annotations["workerpool.dev/place"] = "primary"
    stage.run(60)
    assert (stage.sizes(), stage.interrupted) == ({"primary": 4}, 0)


def test_after_a_migration_the_primary_place_is_the_refuge() -> None:
    stage = settled(3)
    stage.annotations["workerpool.dev/place"] = "secondary"
    stage.run(60)
    stage.lose("b1")
    stage.run(40)
    assert (stage.sizes(), stage.alive()) == ({"primary": 3, "secondary": 3}, 3)


def test_a_pool_that_gets_places_moves_there_and_back_when_it_has_none() -> None:
    stage = Stage(spec={}, size=3)
    stage.run(10)
    assert stage.sizes() == {"": 3}
    stage.spec = {"placement": placed()}
    stage.run(60)
    assert (stage.sizes(), stage.interrupted) == ({"primary": 3}, 0)
    assert len(stage.deployments) == 1
    stage.spec = {}
    stage.run(60)
    assert (stage.sizes(), stage.interrupted) == ({"": 3}, 0)


def test_a_second_place_for_a_pool_that_runs_anywhere_changes_nothing_yet() -> None:
    stage = Stage(spec={}, size=3)
    stage.run(10)
    before = dict(stage.deployments)
    stage.spec = {"placement": {"secondary": {"nodeSelector": {"zone": "b"}}}}
    stage.run(30)
    assert stage.deployments == before


def test_a_new_version_takes_over_while_workers_are_lost() -> None:
    stage = settled(3, failoverTimeoutSeconds=15)
    stage.spec = stage.spec | {"rollout": {"strategy": "Rolling"}}
    stage.lose("a1")
    stage.run(60)
    stage.spec = stage.spec | {"worker": {"image": "web:2"}}
    for _ in range(120):
        stage.run(1)
        assert stage.alive() >= 3
    assert stage.alive() == 3
    assert {one["replicas"] for one in stage.status["versions"] if one["role"] == "stable"} == {3}


def test_a_canary_keeps_its_part_of_the_workers_in_both_places() -> None:
    rollout = {"strategy": "Canary", "steps": [{"weight": 50, "durationSeconds": 100_000}]}
    stage = Stage(spec={"placement": placed(), "rollout": rollout}, size=6)
    stage.run(20)
    stage.spec = stage.spec | {"worker": {"image": "web:2"}}
    stage.run(60)
    assert {one["role"]: one["replicas"] for one in stage.status["versions"]} == {"stable": 3, "canary": 3}
    stage.lose("a1")
    stage.run(60)
    assert {one["role"]: one["replicas"] for one in stage.status["versions"]} == {"stable": 3, "canary": 3}
    assert (stage.sizes(), stage.alive()) == ({"primary": 6, "secondary": 6}, 6)
    stage.bring_back("a1")
    stage.run(200)
    assert {one["role"]: one["replicas"] for one in stage.status["versions"]} == {"stable": 3, "canary": 3}
    assert (stage.sizes(), stage.interrupted) == ({"primary": 6}, 0)


_events = st.lists(
    st.tuples(
        st.sampled_from(["lose", "back", "size", "die", "migrate", "home"]), st.integers(0, 6), st.integers(1, 50)
    ),
    max_size=8,
)


@settings(max_examples=5, deadline=None)
@given(events=_events)
def test_whatever_happens_it_ends_with_all_workers_at_home(events: list[tuple[str, int, int]]) -> None:
    """Nodes lost, sizes changed, operators killed after a write, places swapped: in the end all is as it should be."""
    stage = Stage(spec={"placement": placed()}, size=4)
    stage.run(10)
    for what, number, seconds in events:
        match what:
            case "lose" if "a1" not in stage.dead:
                stage.lose("a1")
            case "back" if "a1" in stage.dead:
                stage.bring_back("a1")
            case "size":
                stage.size = number
            case "die":
                stage.look(writes=number)
            case "migrate":
                stage.annotations["workerpool.dev/place"] = "secondary"
            case "home":
                stage.annotations["workerpool.dev/place"] = "primary"
        stage.run(seconds, step=2.0)
        lost = 0 if stage.status.get("placement", {}).get("lost", 0) else None
        assert lost == 0 or sum(stage.sizes().values()) <= max(stage.size, 7) + 1
    stage.annotations.clear()
    if "a1" in stage.dead:
        stage.bring_back("a1")
    stage.run(320, step=2.0)
    wanted = {"primary": stage.size} if stage.size else {}
    assert (stage.sizes(), stage.alive(), stage.interrupted) == (wanted, stage.size, 0)


@settings(max_examples=5, deadline=None)
@given(at=st.integers(0, 60), writes=st.integers(0, 3), again=st.integers(0, 30))
def test_an_operator_that_dies_at_any_moment_of_a_failover_loses_no_worker(at: int, writes: int, again: int) -> None:
    """After any of its writes: the next leader knows who is lost by what the other place runs too many."""
    stage = settled(4)
    stage.lose("a1")
    stage.run(at)
    stage.look(writes=writes)
    stage.run(again)
    stage.look(writes=writes)
    stage.run(60)
    for _ in range(30):
        stage.run(1)
        assert stage.alive() == 4
    assert stage.sizes() == {"primary": 4, "secondary": 4}
