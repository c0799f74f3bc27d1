"""What F1 says: where two end states differ, and which write points are covered."""

import json
from typing import Any

from e2e.faults.endstate import difference, is_settled
from e2e.faults.inject import Write
from e2e.faults.lane import Play, kind_of
from e2e.faults.suite import Result
from e2e.faults.witness import Ledger


def line(kind: str, name: str, **content: Any) -> str:
    return json.dumps({"kind": kind, "name": name, "labels": {}, "deleting": False, **content})


def write(target: str, method: str = "PATCH") -> Write:
    return Write(1, method, f"/apis/apps/v1/namespaces/f1-001/{target}?timeout=4s")


def test_equal_states_differ_in_nothing_whatever_their_order() -> None:
    """Two pods of the same content count as two."""
    state = [line("Pod", ""), line("Pod", ""), line("Deployment", "a")]
    assert difference(state, state[::-1]) == ""
    assert difference(state, state[1:]) == "Pod is missing"


def test_a_changed_object_is_told_field_by_field() -> None:
    """And what is too much or too little by its name."""
    wanted = [line("Deployment", "a", spec={"replicas": 2}), line("Service", "s")]
    found = [line("Deployment", "a", spec={"replicas": 3}), line("ControllerRevision", "old")]
    assert difference(wanted, found).splitlines() == [
        "Deployment a.spec.replicas: 3 instead of 2",
        "Service s is missing",
        "ControllerRevision old is left over",
    ]


def pool(*, size: int, versions: int = 1, ready: str = "True", stalled: str = "False") -> str:
    status = {
        "current": True,
        "sizes": [size, size],
        "desired": size,
        "versions": [["v", "r", "stable", size, size]] * versions,
        "conditions": [
            ["Ready", ready, "AllReady", True],
            ["Progressing", "False", "Steady", True],
            ["Stalled", stalled, "NotStalled", True],
        ],
    }
    return line("WorkerPool", "main", status=status)


def test_a_state_is_settled_only_with_all_pools_at_rest_and_nothing_of_others() -> None:
    """Each thing that is not as it should be keeps it from being settled."""
    sizes = {"main": 2}
    orphan = line("Deployment", "x", labels={"workerpool.dev/pool": "gone"})
    assert is_settled([pool(size=2)], sizes)
    assert not is_settled([], sizes)
    assert not is_settled([pool(size=1)], sizes)
    assert not is_settled([pool(size=2, versions=2)], sizes)
    assert not is_settled([pool(size=2, ready="False")], sizes)
    assert not is_settled([pool(size=2, stalled="True")], sizes)
    assert not is_settled([pool(size=2), orphan], sizes)
    assert not is_settled([pool(size=2), line("Pod", "", deleting=True)], sizes)


def test_kinds_of_writes_leave_the_names_of_pods_out() -> None:
    """They are drawn anew in each run."""
    assert kind_of(write("deployments/main-1")) == "PATCH deployments main-1"
    assert kind_of(write("workerpools/main/status")) == "PATCH workerpools main status"
    assert kind_of(write("pods/main-1-x7kq2")) == "PATCH pods"


def test_a_scenario_is_covered_by_every_number_and_every_kind() -> None:
    """A kind that was never the last write is open although all numbers are done; what never comes again is not."""
    first, second = write("deployments/main-1"), write("deployments/main-1", "DELETE")
    result = Result(clean={"delete": Play(scenario="delete", writes=[first, second])})
    assert result.uncovered("delete") == [1, 2, "DELETE deployments main-1", "PATCH deployments main-1"]
    result.kills = [(number, Play(scenario="delete", killed_after=first)) for number in (1, 2)]
    assert result.uncovered("delete") == ["DELETE deployments main-1"]
    assert result.total("delete") == 3
    result.absent["delete", "DELETE deployments main-1"] = 3
    assert result.uncovered("delete") == []
    assert result.total("delete") == 2


def test_a_ledger_keeps_the_most_workers_and_versions_of_any_moment() -> None:
    """A version of which no worker is asked for any more is none; the same one in two places is one."""
    ledger = Ledger()
    for sizes in ([("a", 2)], [("a", 2), ("b", 1)], [("a", 0), ("b", 2), ("b", 3)], [("b", 1)]):
        ledger.saw("main", sizes)
    assert (ledger.peak, ledger.versions) == ({"main": 5}, {"main": 2})
    ledger.saw("main", [("a", 1), ("b", 1), ("c", 1)])
    assert (ledger.peak, ledger.versions) == ({"main": 5}, {"main": 3})


def test_scenarios_that_only_set_the_stage_have_no_write_points() -> None:
    """Nobody is to be killed in them: the row would miss what it never was to try."""
    played = {name: Play(scenario=name, writes=[write("deployments/a")]) for name in ("create-placed", "scale-up")}
    killed = Play(scenario="scale-up", killed_after=write("deployments/a"))
    assert Result(clean=played, kills=[(1, killed)]).points() == (1, 1)
    assert Result(clean=played).points() == (2, 0)  # by its number, and by its kind
