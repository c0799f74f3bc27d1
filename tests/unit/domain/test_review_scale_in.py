"""Ways in which a busy worker could be taken although another was chosen."""

from dataclasses import replace

from workerpool_operator.domain.scaling import (
    DELETION_COST,
    Pod,
    Report,
    ScaleInMemory,
    ScaleInStep,
    Sizing,
    Worker,
    judge,
    step,
)


def pod(name: str, *, ready: bool = True, cost: int = 0, created: str = "2026-01-01T00:00:00Z") -> Pod:
    return Pod(
        name=name, uid=name, deployment="web", assigned=True, pending=False, ready=ready, created=created, cost=cost
    )


def report(name: str, *, in_flight: int = 0, fence: str = "", fenceable: bool = True) -> Report:
    remaining = None if in_flight else 0.0
    return Report(
        uid=name, age=0.1, in_flight=in_flight, fence=fence, fenceable=fenceable, connected=True, remaining=remaining
    )


def worker(one: Pod, said: Report | None) -> Worker:
    return judge(one, said, drain_seconds=60.0)


def shrink(*found: Worker, memory: ScaleInMemory, now: float, remove: int = 1) -> ScaleInStep:
    size = Sizing(deployment="web", replicas=len(found), remove=remove)
    return step(sizes=[size], workers=found, memory=memory, now=now)


def test_nobody_goes_while_a_mark_that_was_taken_back_may_still_be_seen() -> None:
    """The ReplicaSet controller may see both marks for a moment, and then takes whichever it likes.

    `a` and `b` are marked; `b` is released because a newer idle worker is there to go instead, and takes a job at once.
    """
    memory = ScaleInMemory(epoch=7)
    old_a, old_b = pod("a"), pod("b")
    busy = worker(pod("c"), report("c", in_flight=1))
    first = shrink(worker(old_a, report("a")), worker(old_b, report("b")), busy, memory=memory, now=100.0, remove=2)
    fence = first.memory.fence_id
    marking = shrink(
        worker(old_a, report("a", fence=fence)),
        worker(old_b, report("b", fence=fence)),
        busy,
        memory=first.memory,
        now=100.0,
        remove=2,
    )
    assert {one.pod.name for one, _ in marking.mark} == {"a", "b"}
    memory = replace(marking.memory, marked_at={"a": 100.0, "b": 100.5})
    a, b = replace(old_a, cost=DELETION_COST), replace(old_b, cost=DELETION_COST)
    # Only one is to go now: `b` (of two equals the last by name) is released and loses its mark.
    less = shrink(
        worker(a, report("a", fence=fence)), worker(b, report("b", fence=fence)), memory=memory, now=101.2, remove=1
    )
    assert [one.pod.name for one in less.unmark] == ["b"]
    assert not less.lower
    memory = less.memory.marks_written(101.2)
    soon = shrink(
        worker(a, report("a", fence=fence)),
        worker(old_b, report("b", in_flight=1)),
        memory=memory,
        now=101.4,
        remove=1,
    )
    assert not soon.lower, "b's mark may still be in the ReplicaSet controller's cache, and b is busy"
    assert soon.look_again is not None
    later = shrink(
        worker(a, report("a", fence=fence)),
        worker(old_b, report("b", in_flight=1)),
        memory=soon.memory,
        now=102.3,
        remove=1,
    )
    assert dict(later.lower) == {"web": 1}


def test_a_worker_that_works_before_its_readiness_check_is_fenced_before_it_goes() -> None:
    """The first check comes seconds after a worker took its first job: between two jobs it looks like not started."""
    young = worker(pod("young", ready=False), report("young"))
    busy = worker(pod("busy"), report("busy", in_flight=1))
    first = shrink(young, busy, memory=ScaleInMemory(epoch=7), now=100.0)
    assert first.fence == {"young"}
    assert not first.mark
    fence = first.memory.fence_id
    answered = worker(pod("young", ready=False), report("young", fence=fence))
    second = shrink(answered, busy, memory=first.memory, now=100.2)
    assert [one.pod.name for one, _ in second.mark] == ["young"]


def test_a_worker_that_is_not_ready_and_does_not_listen_goes_on_its_word() -> None:
    for said in (None, report("young", fenceable=False)):
        young = worker(pod("young", ready=False), said)
        first = shrink(young, worker(pod("busy"), report("busy", in_flight=1)), memory=ScaleInMemory(epoch=7), now=1.0)
        assert [one.pod.name for one, _ in first.mark] == ["young"]


def test_a_worker_that_has_just_started_is_given_time_to_be_heard_before_it_goes() -> None:
    """It takes jobs at once, and tells its collector of them seconds later."""
    busy = worker(pod("busy"), report("busy", in_flight=1))
    crashed = replace(pod("crashed", ready=False, cost=DELETION_COST), running=False)
    young = pod("young", ready=False, cost=DELETION_COST)
    memory = ScaleInMemory(epoch=7, marked_at={"crashed": 100.0, "young": 100.0})
    early = shrink(worker(crashed, None), worker(young, None), busy, memory=memory, now=109.9, remove=2)
    assert not early.lower, "of two that are not ready the ReplicaSet controller may take either"
    assert early.look_again is not None
    late = shrink(worker(crashed, None), worker(young, None), busy, memory=early.memory, now=110.0, remove=2)
    assert dict(late.lower) == {"web": 2}
    spoke = worker(young, report("young", in_flight=1))
    heard = shrink(worker(crashed, None), spoke, busy, memory=early.memory, now=110.0, remove=2)
    assert not heard.lower
    assert [one.pod.name for one in heard.unmark] == ["young"]


def test_a_worker_whose_container_does_not_run_goes_whatever_it_last_said() -> None:
    """One that crashes over and over has left a report behind; it would keep the pool from ever shrinking."""
    left = replace(report("crashed", in_flight=2), connected=False, age=40.0)
    crashed = worker(replace(pod("crashed", ready=False), running=False), left)
    first = shrink(crashed, worker(pod("busy"), report("busy", in_flight=1)), memory=ScaleInMemory(epoch=7), now=1.0)
    assert [one.pod.name for one, _ in first.mark] == ["crashed"]


def test_a_worker_that_runs_and_has_fallen_silent_does_not_go() -> None:
    left = replace(report("silent"), connected=False, age=40.0)
    silent = worker(pod("silent", ready=False), left)
    first = shrink(silent, worker(pod("busy"), report("busy", in_flight=1)), memory=ScaleInMemory(epoch=7), now=1.0)
    assert not first.mark
    assert first.waiting_for == 1


def test_a_worker_that_speaks_is_believed_before_the_kubelet() -> None:
    """What the kubelet says of a container that has just been restarted is a second old."""
    back = worker(replace(pod("back", ready=False), running=False), report("back", in_flight=1))
    first = shrink(back, worker(pod("idle"), report("idle")), memory=ScaleInMemory(epoch=7), now=1.0)
    assert first.fence == {"idle"}


def test_a_controller_manager_that_is_away_is_waited_for_ever_more_slowly() -> None:
    """Each look lists the pool's pods: hundreds of pools that were lowered would keep the API server busy."""
    fence = "7.1"
    idle = [worker(pod(name, cost=DELETION_COST), report(name, fence=fence)) for name in ("a", "b")]
    memory = ScaleInMemory(
        epoch=7, sequence=1, fenced=frozenset({"a"}), marked_at={"a": 0.0}, unmarked_at=None, lowered=()
    )
    lowering = step(
        sizes=[Sizing(deployment="web", replicas=2, remove=2)],
        workers=idle,
        memory=replace(memory, fenced=frozenset({"a", "b"}), marked_at={"a": 0.0, "b": 0.0}),
        now=100.0,
    )
    assert dict(lowering.lower) == {"web": 2}
    looks = [
        step(sizes=[Sizing(deployment="web", replicas=0)], workers=idle, memory=lowering.memory, now=now).look_again
        for now in (100.1, 104.0, 140.0, 1000.0)
    ]
    assert looks == [0.25, 1.0, 10.0, 30.0]
