"""A canary that cannot have its first worker yet: it waits, says why, and is not judged for it, whatever the policy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, deployment, memory, pool, revision, sample, sizes, snapshot
from tests.unit.domain.test_seats import counted, pod
from workerpool_operator.api import Condition, WorkerPool, WorkerPoolStatus
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.rollout.steps import Outcome, State, Wait
from workerpool_operator.domain.snapshot import PodList, Seats, Snapshot

HOUR = 3600.0
POLICIES = ("Hold", "Promote", "Rollback")


def asking(image: str, *, replicas: int = 1, policy: str = "Hold", **rollout: Any) -> WorkerPool:
    return pool(
        worker={"image": image},
        scaling={"mode": "manual", "budget": {"name": "team"}},
        replicas=replicas,
        rollout={"strategy": "Canary", "analysis": {"onInconclusive": policy}} | rollout,
    )


def version(image: str) -> str:
    return desired.hashes(asking(image)).version


def seen(of: WorkerPool, *, listed: bool = True, granted: int | None = None, **workers: int) -> Snapshot:
    """A pool with so many workers of each image, `v1` for `web:1`; no budget, if none are granted."""
    images = {f"web:{name.removeprefix('v')}": count for name, count in workers.items()}
    deployments = {name: one for image, size in images.items() for name, one in deployment(asking(image), size).items()}
    names = [name for name, one in deployments.items() for _ in range(one.replicas)]
    pods = PodList(active=tuple(pod(f"p{number}", of=name) for number, name in enumerate(names)))
    return snapshot(
        of,
        deployments=deployments,
        revisions={name: one for image in images for name, one in revision(asking(image)).items()},
        samples=(sample(9),),
        seats=Seats(budget="team", granted=granted) if granted else None,
        pods=pods if listed else None,
        memory=memory(seats=counted(sum(workers.values())) if granted else None),
    )


def played(*looks: tuple[float, Snapshot]) -> tuple[Snapshot, Plan]:
    """One plan after the other, each with the memory of the one before."""
    remembered = looks[0][1].memory
    for at, one in looks:
        found = replace(one, memory=remembered, now=NOW + at)
        made = plan(found)
        remembered = made.memory
    return found, made


def for_hours(one: Snapshot) -> list[tuple[float, Snapshot]]:
    return [(at, one) for at in (0, 10, HOUR, 2 * HOUR)]


def told(looks: Sequence[tuple[float, Snapshot]]) -> WorkerPoolStatus:
    found, made = played(*looks)
    return status.build(found, made, refusals=())


def progressing(of: WorkerPoolStatus) -> Condition:
    [one] = [one for one in of.conditions if one.type == "Progressing"]
    return one


def waits(of: WorkerPoolStatus) -> tuple[str, str, str]:
    """The version that is tried, what the rollout waits for, and what its verdict follows from."""
    assert of.rollout is not None
    return of.rollout.canary, of.rollout.wait, of.rollout.cause


@pytest.mark.parametrize("listed", [True, False], ids=["pods listed", "pods not listed"])
@pytest.mark.parametrize("policy", POLICIES)
def test_beside_a_single_worker_a_canary_waits_for_its_seat_for_as_long_as_it_takes(
    *, policy: str, listed: bool
) -> None:
    """Nothing is measured meanwhile, and that is not held against it: no policy for what cannot be said applies."""
    said = told(for_hours(seen(asking("web:2", policy=policy), v1=1, granted=1, listed=listed)))
    assert waits(said) == (version("web:2"), "WaitsForSeat", "Evidence")
    assert (progressing(said).status, progressing(said).reason) == ("True", "CanaryWaiting")
    assert "no free seat" in progressing(said).message
    assert said.scaling is not None
    assert said.scaling.limited_by == ("budget",)


def test_a_canary_that_has_waited_for_its_seat_begins_with_its_whole_time() -> None:
    """An hour without a seat counts nothing towards maxUnmeasuredSeconds once it has one."""
    of = asking("web:2", policy="Rollback")
    waiting, seated = seen(of, v1=1, granted=1), seen(of, v1=1, granted=2)
    _, made = played(*for_hours(waiting), (2 * HOUR + 5, seated))
    assert list(sizes(made).values()) == [1]
    running = seen(of, v1=1, v2=1, granted=2)
    said = told([*for_hours(waiting), (2 * HOUR + 5, seated), (2 * HOUR + 10, running), (2 * HOUR + 900, running)])
    assert (waits(said), progressing(said).reason) == ((version("web:2"), "StepRuns", "Evidence"), "CanaryRunning")
    unheard = told([*for_hours(waiting), (2 * HOUR + 5, seated), (2 * HOUR + 10, running), (2 * HOUR + 911, running)])
    assert unheard.rollout is not None
    assert unheard.rollout.rejected == (version("web:2"),), (
        "a canary with a worker that is not heard goes by the policy"
    )


def test_a_canary_waits_for_its_seat_until_a_busy_worker_gives_one_up() -> None:
    said = told(for_hours(seen(asking("web:2", replicas=3, policy="Rollback"), v1=3, granted=3)))
    assert waits(said) == (version("web:2"), "WaitsForSeat", "Evidence")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_third_version_waits_until_the_second_has_finished_its_jobs(policy: str) -> None:
    """One worker in total: that of the version between is above it until its job is done."""
    of = asking("web:3", policy=policy)
    trying = seen(asking("web:2", policy=policy), v1=1, v2=1)
    said = told([(0, trying), *((at + 10, one) for at, one in for_hours(seen(of, v1=1, v2=1)))])
    assert waits(said) == (version("web:3"), "WaitsForRoom", "Evidence")
    assert progressing(said).reason == "CanaryWaiting"
    assert "finish their jobs" in progressing(said).message


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pool_that_wakes_does_not_lay_its_sleep_to_the_canary(policy: str) -> None:
    """It waited for jobs, as `whenIdle: Hold` asks for; now that they are there it is tried by them."""
    sleeping = seen(asking("web:2", replicas=0, policy=policy), v1=0, v2=0)
    awake = seen(asking("web:2", policy=policy), v1=0, v2=0)
    looks = [(0.0, seen(asking("web:1", policy=policy), v1=1)), *((at + 10, one) for at, one in for_hours(sleeping))]
    assert waits(told(looks)) == (version("web:2"), "Unmeasured", "Unmeasured")
    assert waits(told([*looks, (2 * HOUR + 20, awake)])) == (version("web:2"), "StepRuns", "Evidence")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Wait.STEP, Wait.SEAT),
        (Wait.NONE, Wait.SEAT),
        (Wait.VERDICT, Wait.SEAT),
        (Wait.ROOM, Wait.SEAT),
        (Wait.PAUSE, Wait.PAUSE),
        (Wait.ABORTION, Wait.ABORTION),
    ],
)
def test_what_people_have_to_decide_is_said_before_what_a_canary_lacks(before: Wait, after: Wait) -> None:
    assert Outcome(state=State(), wait=before).without_worker(Wait.SEAT).wait is after
