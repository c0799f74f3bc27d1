"""What a pool holds of its budget, and how it asks Kubernetes for no more than it has seats for."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, child, deployment, memory, pool, revision, sample, settled, sizes, snapshot
from workerpool_operator import api
from workerpool_operator.api import Limiter, Reason
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.scaling import Pod, SeatMemory, occupied
from workerpool_operator.domain.scaling.seats import SETTLE_SECONDS, UNCERTAIN_SECONDS
from workerpool_operator.domain.selector import selects
from workerpool_operator.domain.snapshot import PodList, Seats, Snapshot

SCALING: dict[str, Any] = {
    "cooldownSeconds": 0,
    "scaleDown": {"stabilizationSeconds": 0},
    "targets": {"queueDepthPerReplica": 1},
    "budget": {"name": "team", "priority": 3},
}


def pod(name: str, *, of: str = "web-1") -> Pod:
    return Pod(name=name, uid=name, deployment=of, assigned=True, pending=False, ready=True, created="", cost=0)


def counted(used: int, *, asked: int | None = None) -> SeatMemory:
    """A pool whose pods have been counted, and nothing has changed since."""
    return SeatMemory(asked=used if asked is None else asked, used=used, counted=True, settles_at=NOW)


def sharing(**scaling: Any) -> api.WorkerPool:
    return pool(scaling=SCALING | scaling)


def look(
    of: api.WorkerPool,
    size: int,
    *,
    granted: int | None,
    waiting: int,
    held: SeatMemory | None = None,
    terminating: int = 0,
    listed: bool = True,
    **more: Any,
) -> Snapshot:
    """A pool of this size; its pods are as many, and so many more are on their way out."""
    found = settled(of, size, samples=(sample(waiting),))
    [name] = found.deployments
    pods = PodList(
        active=tuple(pod(f"p{number}", of=name) for number in range(size)),
        terminating=frozenset(f"t{number}" for number in range(terminating)),
    )
    seats = Seats(budget="team", granted=granted, reserved=more.pop("reserved", 0))
    remembered = memory(seats=held or counted(size))
    return replace(found, pods=pods if listed else None, seats=seats, memory=remembered, **more)


def grown_to(of: Plan) -> list[int]:
    return list(sizes(of).values())


# What is held


def test_a_new_leader_begins_with_what_the_ledger_says() -> None:
    assert SeatMemory.new(asked=2, reserved=5, now=NOW).used == 5
    assert SeatMemory.new(asked=5, reserved=2, now=NOW).used == 5


def test_nothing_is_given_back_before_the_last_change_has_settled() -> None:
    held = counted(5).seen(asked=2, occupied=2, now=NOW + 1)
    assert (held.used, held.settles_at) == (5, NOW + 1 + SETTLE_SECONDS)
    assert held.seen(asked=2, occupied=2, now=held.settles_at).used == 2


def test_nothing_is_given_back_unless_it_was_counted() -> None:
    assert counted(5, asked=2).seen(asked=2, occupied=None, now=NOW + 60).used == 5


def test_what_somebody_else_asked_for_is_held_as_well() -> None:
    assert counted(2).seen(asked=4, occupied=None, now=NOW).used == 4


def test_a_write_that_was_not_answered_may_come_yet() -> None:
    held = counted(2).grown(3).unanswered(now=NOW)
    assert held.seen(asked=2, occupied=2, now=NOW + UNCERTAIN_SECONDS - 0.1).used == 5
    assert held.seen(asked=2, occupied=2, now=NOW + UNCERTAIN_SECONDS).used == 2


@pytest.mark.parametrize(
    ("held", "growing", "listed_at", "due"),
    [
        (counted(2), False, None, None),
        (counted(2), True, None, 0.0),
        (counted(2), True, NOW - 0.25, 0.75),
        (counted(2, asked=1), False, NOW - 0.25, 1.75),
        (SeatMemory.new(asked=0, reserved=0, now=NOW), False, None, SETTLE_SECONDS),
    ],
    ids=["nothing to learn", "wants more", "wants more, listed just now", "gives back", "not counted yet"],
)
def test_when_the_pods_are_listed(
    *, held: SeatMemory, growing: bool, listed_at: float | None, due: float | None
) -> None:
    assert held.list_in(growing=growing, listed_at=listed_at, now=NOW) == due


def test_pods_count_until_they_are_gone_and_from_when_they_are_asked_for() -> None:
    pods = [pod("a"), pod("b"), pod("c", of="web-2"), pod("d", of="gone")]
    assert occupied({"web-1": 1, "web-2": 3}, pods, terminating=2) == 2 + 3 + 1 + 2


# What is asked for


def test_a_pool_grows_to_what_it_is_granted_and_tells_what_it_wants_and_holds() -> None:
    found = plan(look(sharing(minReplicas=1), 2, granted=5, waiting=9))
    assert grown_to(found) == [5]
    assert found.decision.limited_by == (Limiter.BUDGET,)
    assert found.claim is not None
    told = (found.claim.pool, found.claim.wanted, found.claim.guaranteed, found.claim.priority, found.claim.used)
    assert told == (("ns", "web"), 9, 1, 3, 5)


def test_workers_that_finish_their_jobs_have_their_seats_until_they_are_gone() -> None:
    found = plan(look(sharing(), 2, granted=5, waiting=9, terminating=2))
    assert grown_to(found) == [3]
    assert found.short_of_seats
    assert found.claim is not None
    assert found.claim.used == 5


def test_nothing_is_added_before_the_pods_are_counted() -> None:
    found = plan(look(sharing(), 2, granted=5, waiting=9, listed=False))
    assert found.wants_pods
    unsettled = replace(counted(2), settles_at=NOW + 1.5)
    waits = plan(look(sharing(), 2, granted=5, waiting=9, held=unsettled, listed=False))
    assert (waits.wants_pods, grown_to(waits), waits.short_of_seats, waits.look_again) == (False, [], False, 1.5)


def test_a_pool_without_a_grant_keeps_its_size_and_only_shrinks() -> None:
    assert plan(look(sharing(), 3, granted=None, waiting=9)).decision.desired == 3
    assert plan(look(sharing(), 3, granted=None, waiting=1)).decision.desired == 1


def test_the_budget_is_stronger_than_a_pool_s_own_floor_and_than_a_person_s_word() -> None:
    assert plan(look(sharing(minReplicas=4), 0, granted=2, waiting=0)).decision.desired == 2
    manual = pool(scaling=SCALING | {"mode": "manual"}, replicas=9)
    found = plan(look(manual, 0, granted=2, waiting=0))
    assert (found.decision.desired, found.decision.limited_by) == (2, (Limiter.BUDGET,))


def test_a_person_s_word_that_none_is_taken_away_holds() -> None:
    paused = sharing()
    paused = paused.changed(
        metadata=paused.metadata.changed(annotations={"workerpool.dev/freeze": "in"}),
    )
    assert plan(look(paused, 4, granted=2, waiting=9)).decision.desired == 4


def test_a_new_deployment_waits_for_its_seats_at_size_0() -> None:
    of = sharing(warm_replicas=1)
    found = snapshot(of, samples=(sample(3),), seats=Seats(budget="team", granted=3))
    first = plan(found)
    assert grown_to(first) == [0]
    counted_now = replace(found, pods=PodList(active=()), memory=memory(seats=counted(0)))
    assert grown_to(plan(counted_now)) == [3]


# Changes of version


def changing(
    before: int,
    after: int,
    *,
    granted: int,
    ready: int | None = None,
    terminating: int = 0,
    strategy: str = "Rolling",
    surge: int = 1,
    **scaling: Any,
) -> Snapshot:
    """A pool on its way from one version to another."""
    rolling: dict[str, Any] = {"scaling": SCALING | scaling, "rollout": {"strategy": strategy, "surge": surge}}
    old, new = pool(**rolling), pool(**rolling, worker={"image": "web:2"})
    deployments = deployment(old, before) | (deployment(new, after, ready=ready) if after else {})
    names = [name for name, one in deployments.items() for _ in range(one.replicas)]
    return snapshot(
        new,
        deployments=deployments,
        revisions=revision(old) | revision(new),
        budget=child(desired.disruption_budget(new)),
        samples=(sample(9),),
        seats=Seats(budget="team", granted=granted),
        pods=PodList(
            active=tuple(pod(f"p{number}", of=name) for number, name in enumerate(names)),
            terminating=frozenset(f"t{number}" for number in range(terminating)),
        ),
        memory=memory(seats=counted(before + after)),
    )


def test_a_change_of_version_takes_its_one_more_out_of_the_grant() -> None:
    found = plan(changing(3, 0, granted=3))
    assert (found.size, grown_to(found), found.short_of_seats) == (2, [0], True)
    assert found.claim is not None
    assert found.claim.wanted == 10, "one more than the work asks for, for as long as it lasts"
    assert grown_to(plan(changing(2, 0, granted=3))) == [1]
    assert grown_to(plan(changing(2, 0, granted=3, terminating=1))) == [0]


def test_a_version_does_not_replace_a_pool_s_only_worker_without_a_second_seat() -> None:
    found = plan(changing(1, 0, granted=1))
    assert (found.size, grown_to(found), found.short_of_seats) == (1, [0], True)


def test_a_larger_surge_is_claimed_and_taken_as_far_as_there_are_seats() -> None:
    found = plan(changing(3, 0, granted=9, surge=2, maxReplicas=3))
    assert (found.size, grown_to(found), found.short_of_seats) == (3, [2], False)
    assert found.claim is not None
    assert found.claim.wanted == 3 + 2, "above maxReplicas too: a change of version is no growth"
    short = plan(changing(3, 0, granted=4, surge=2, maxReplicas=3))
    assert (short.size, grown_to(short), short.short_of_seats) == (3, [1], True)


@pytest.mark.parametrize(("granted", "grown", "short"), [(1, 0, True), (2, 1, False)])
def test_beside_a_single_worker_a_canary_waits_for_its_seat(*, granted: int, grown: int, short: bool) -> None:
    found = plan(changing(1, 0, granted=granted, strategy="Canary", surge=3, maxReplicas=1))
    assert (found.size, grown_to(found), found.short_of_seats) == (1, [grown], short)
    assert found.claim is not None
    assert found.claim.wanted == 1 + 1


# What is shown


def test_the_status_tells_of_the_budget() -> None:
    seen = look(sharing(), 2, granted=2, waiting=9)
    found = status.build(seen, plan(seen), refusals=())
    assert found.scaling is not None
    assert found.scaling.budget == api.BudgetShare(name="team", wanted=9, granted=2)
    assert found.scaling.limited_by == ("budget",)


def test_growth_that_waits_for_a_seat_is_limited_by_the_budget() -> None:
    seen = look(sharing(), 2, granted=3, waiting=3, terminating=1)
    found = status.build(seen, plan(seen), refusals=())
    assert found.scaling is not None
    assert (found.scaling.desired, found.scaling.limited_by) == (3, ("budget",))


@pytest.mark.parametrize(
    ("reason", "told"),
    [(Reason.BUDGET_PENDING, "Unknown"), (Reason.BUDGET_NOT_FOUND, "False"), (Reason.BUDGET_REFUSED, "False")],
)
def test_a_pool_that_may_not_grow_says_why(reason: Reason, told: str) -> None:
    seen = replace(
        look(sharing(), 2, granted=None, waiting=9), seats=Seats(budget="team", reason=reason, message="no budget")
    )
    found = status.build(seen, plan(seen), refusals=())
    [condition] = [one for one in found.conditions if one.type == "ScalingActive"]
    assert (condition.status, condition.reason, condition.message) == (
        told,
        reason,
        "no budget; the pool does not grow",
    )
    events = [one.reason for one in status.announcements(seen, plan(seen), found) if one.warning]
    assert events == ([] if told == "Unknown" else [reason])


# Labels


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"team": "a"}}, True),
        ({"matchLabels": {"team": "b"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_labels_are_selected_as_kubernetes_does_it(*, selector: dict[str, Any], selected: bool) -> None:
    assert selects(api.LabelSelector.model_validate(selector), {"team": "a"}) is selected


def test_no_selector_selects_everything() -> None:
    assert selects(None, {})
