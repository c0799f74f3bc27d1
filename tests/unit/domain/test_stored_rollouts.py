"""A rollout that another release stored goes on: upgrades neither forget it nor begin one."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import deployment, pool, revision, snapshot
from workerpool_operator import api
from workerpool_operator.domain import desired
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.rollout.evidence import Evidence, Nulls, Signal, SignalEvidence, dump, load
from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.spread import cell, dispersion
from workerpool_operator.domain.rollout.steps import State, dump_state, load_state

FULL = State(
    stable="v1",
    canary="v2",
    step=1,
    began_seconds=1800.0,
    began_jobs=200.0,
    paused=True,
    resumed=True,
    rejected=("v3", "v4"),
    kept=("v0",),
    command_id="7",
    command_refused=True,
)
NULLS = Nulls(tolerate=1.25, reject=3.0)
GATHERED = Evidence(
    nulls=NULLS,
    signals={Signal.FAILURES: replace(SignalEvidence().plus(Interval(100, 2, 900, 1), nulls=NULLS), incidents=2)},
    measured_seconds=60.0,
    unmeasured_seconds=1.0,
    unready_seconds=2.0,
    missed_jobs=3.0,
)


def canary(image: str, **more: Any) -> api.WorkerPool:
    return pool(worker={"image": image}, scaling={"mode": "manual"}, replicas=5, rollout={"strategy": "Canary"}, **more)


def test_a_state_is_the_same_after_it_was_stored() -> None:
    assert load_state(json.loads(json.dumps(dump_state(FULL)))) == FULL


@pytest.mark.parametrize("name", [name for name in dump_state(FULL) if name != "stable"])
def test_what_an_older_release_did_not_store_has_its_default_and_the_rest_is_kept(name: str) -> None:
    older = {key: value for key, value in dump_state(FULL).items() if key != name}
    assert load_state(older) == replace(FULL, **{name: getattr(State(), name)})


def test_what_a_newer_release_stored_beside_is_passed_over() -> None:
    assert load_state(dump_state(FULL) | {"places": {"primary": 3}}) == FULL


@pytest.mark.parametrize("stored", [None, [], "v1", {}, {"canary": "v2"}, dump_state(FULL) | {"step": "two"}])
def test_a_state_without_a_trusted_version_or_of_another_kind_is_none(stored: Any) -> None:
    assert load_state(stored) is None


@pytest.mark.parametrize("name", ["measuredSeconds", "unmeasuredSeconds", "unreadySeconds", "missedJobs"])
def test_evidence_of_an_older_release_counts_what_it_did_not_store_from_0(name: str) -> None:
    older = {key: value for key, value in dump(GATHERED).items() if key != name}
    found = load(older, nulls=NULLS)
    assert found.signals == GATHERED.signals
    assert dump(found)[name] == 0.0


@pytest.mark.parametrize("name", ["pending", "incidents", "canaryCells", "stableCells", "canaryRates"])
def test_a_signal_of_an_older_release_keeps_what_it_has_shown(name: str) -> None:
    older = dump(GATHERED)
    older["signals"]["failures"].pop(name)
    found = load(older, nulls=NULLS).signals[Signal.FAILURES]
    assert (found.fail, found.total) == (
        GATHERED.signals[Signal.FAILURES].fail,
        GATHERED.signals[Signal.FAILURES].total,
    )


def test_how_failures_are_spread_over_pods_of_one_size_is_known_from_an_older_release() -> None:
    """It did not store the cells' rates, which are those of all where all have one size."""
    spread = cell(100, 9).plus(cell(100, 0)).plus(cell(100, 1))
    stored = dump(Evidence(nulls=NULLS, signals={Signal.FAILURES: SignalEvidence(stable_cells=spread)}))
    del stored["signals"]["failures"]["stableRates"]
    found = load(stored, nulls=NULLS).signals[Signal.FAILURES].stable_cells
    assert found == pytest.approx(spread)
    assert dispersion([found], counted=True) == pytest.approx(dispersion([spread], counted=True))


def test_an_operator_that_is_rolled_back_understands_what_was_stored() -> None:
    """It takes exactly four figures of cells, and throws all evidence away where there are more."""
    stored = dump(GATHERED)["signals"]["failures"]
    assert [len(stored[name]) for name in ("canaryCells", "stableCells")] == [4, 4]


def test_evidence_of_a_newer_release_keeps_the_signals_that_are_known_here() -> None:
    newer = dump(GATHERED) | {"tide": 3}
    newer["signals"] |= {"cost": {"sums": [1, 2]}}
    assert load(newer, nulls=NULLS) == GATHERED


@pytest.mark.parametrize(
    "change",
    [{"drop": "command_refused"}, {"drop": "kept"}, {"add": {"surged": 3}}, {"add": {}}],
    ids=["before refusals were stored", "before versions were kept", "a newer one", "the same"],
)
def test_after_an_upgrade_the_canary_is_where_it_was(change: dict[str, Any]) -> None:
    """It stays at its step with its evidence, and what was rejected stays rejected."""
    old, new = canary("web:1"), canary("web:2")
    tried = desired.hashes(new).version
    state = dump_state(replace(FULL, stable=desired.hashes(old).version, canary=tried, paused=False, resumed=False))
    state.pop(change.get("drop", ""), None)
    memory = json.dumps({"state": state | change.get("add", {}), "evidence": dump(GATHERED)})
    status = {"rollout": {"memory": memory}}
    seen = snapshot(
        canary("web:2", status=status),
        deployments=deployment(old, 3) | deployment(new, 2),
        revisions=revision(old) | revision(new),
    )
    rollout = plan(seen).memory.rollout
    assert rollout is not None
    assert (rollout.state.canary, rollout.state.step, rollout.state.rejected) == (tried, 1, ("v3", "v4"))
    assert rollout.evidence.measured_seconds == 60.0
    assert rollout.evidence.signals[Signal.FAILURES].total == Interval(100, 2, 900, 1)
