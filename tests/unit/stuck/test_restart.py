"""One worker at a time is restarted, and not for ever where it does not help."""

from dataclasses import replace

from workerpool_operator.domain.scaling import Leaver, Pod, Report, judge
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS, Worker
from workerpool_operator.domain.stuck import Conduct, Findings, Restarts, Stage, Word, choose, look
from workerpool_operator.domain.stuck.restart import FUTILE_SECONDS

AFTER = 45.0
SETTLE = AFTER + REPORT_FRESH_SECONDS
ONE = Findings(stuck=frozenset({"a"}), witnessed=True)
ALL = Findings(stuck=frozenset({"a"}))
SETTLED = Restarts(settled=True)


def conduct(since: float) -> Conduct:
    return Conduct(since=since, heard_at=since, last=Word(boot_id="x", taken=0, full=False))


def stage(
    memory: Restarts, findings: Findings = ONE, *, now: float, whole: bool = True, since: float = 0.0
) -> Stage | None:
    return look(memory, findings, {"a": conduct(since)}, whole=whole, after=AFTER, now=now)[1]


def settle(memory: Restarts, *, whole: bool, now: float) -> Restarts:
    return look(memory, ONE, {"a": conduct(0.0)}, whole=whole, after=AFTER, now=now)[0]


def worker(uid: str, in_flight: int = 0) -> Worker:
    pod = Pod(name=uid, uid=uid, deployment="web", assigned=True, pending=False, ready=True, created="2026")
    remaining = None if in_flight else 0.0
    said = Report(uid=uid, age=0, in_flight=in_flight, fence="", fenceable=True, connected=True, remaining=remaining)
    return judge(pod, said, drain_seconds=60)


def test_where_nobody_is_stuck_nothing_is_done() -> None:
    assert stage(SETTLED, Findings(), now=0) is None


def test_a_new_leader_waits_as_after_a_restart() -> None:
    young = settle(Restarts(), whole=True, now=0)
    assert stage(young, now=SETTLE - 1) is Stage.SETTLING
    assert stage(young, now=SETTLE) is Stage.DUE


def test_the_wait_begins_anew_while_a_worker_is_missing() -> None:
    """The replacement has to be ready, and then has its time."""
    missing = settle(settle(Restarts(), whole=True, now=0), whole=False, now=30)
    ready = settle(missing, whole=True, now=50)
    assert stage(ready, now=SETTLE + 49) is Stage.SETTLING
    assert stage(ready, now=SETTLE + 50) is Stage.DUE


def test_once_settled_a_pool_that_grows_waits_only_for_its_new_workers() -> None:
    assert stage(SETTLED, now=100, whole=False) is Stage.SETTLING
    assert stage(settle(SETTLED, whole=False, now=100), now=101) is Stage.DUE


def test_after_a_restart_that_helped_the_next_comes_as_soon_as_all_have_settled() -> None:
    after = replace(SETTLED, restarted="z", restarted_at=100.0)
    assert stage(after, now=200) is Stage.DUE


def test_where_the_replacement_is_stuck_as_well_the_next_restart_comes_late() -> None:
    after = replace(SETTLED, restarted="z", restarted_at=100.0)
    assert stage(after, now=200, since=110.0) is Stage.FUTILE
    assert stage(after, now=100 + FUTILE_SECONDS, since=110.0) is Stage.DUE


def test_where_nobody_goes_on_one_is_restarted_and_the_next_comes_late() -> None:
    assert stage(SETTLED, ALL, now=200) is Stage.DUE
    after = replace(SETTLED, restarted="z", restarted_at=100.0)
    assert stage(after, ALL, now=200) is Stage.FUTILE


def test_the_idlest_is_chosen_and_stays_chosen() -> None:
    both = [worker("a", in_flight=2), worker("b"), worker("c")]
    stuck = frozenset({"a", "b"})
    first = choose(SETTLED, both, stuck=stuck, now=5.0)
    assert (first.chosen, first.chosen_at) == ("b", 5.0)
    assert choose(first, both, stuck=stuck, now=6.0) == first


def test_who_has_no_pod_that_is_not_being_deleted_is_not_chosen() -> None:
    assert choose(replace(SETTLED, chosen="a"), [worker("c")], stuck=frozenset({"a"}), now=5.0).chosen == ""


def test_who_is_not_stuck_any_more_is_not_chosen_any_more() -> None:
    chosen = replace(SETTLED, chosen="a", chosen_at=1.0)
    assert look(chosen, Findings(), {}, whole=True, after=AFTER, now=9.0)[0].chosen == ""
    assert look(chosen, ONE, {"a": conduct(0.0)}, whole=True, after=AFTER, now=9.0)[0].chosen == "a"


def test_a_worker_that_does_not_answer_its_fence_counts_as_deaf_after_the_limit() -> None:
    chosen = replace(SETTLED, chosen="a", chosen_at=100.0)
    assert SETTLED.leaver(after=AFTER, now=100.0) is None
    assert chosen.leaver(after=AFTER, now=144.0) == Leaver(uid="a", deaf=False)
    assert chosen.leaver(after=AFTER, now=145.0) == Leaver(uid="a", deaf=True)


def test_a_restart_is_remembered_and_begins_the_wait_anew() -> None:
    done = replace(SETTLED, chosen="a", chosen_at=1.0).done(now=7.0)
    assert done == Restarts(restarted="a", restarted_at=7.0)
