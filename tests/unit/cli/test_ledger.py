"""What became of each job, added up from what workers tell."""

from itertools import count

import pytest

from workerpool_operator.cli.load.ledger import Event, Ledger, Outcome, Record

START, FINISH, FAIL = Event.START, Event.FINISH, Event.FAIL


def ledger_of(**jobs: list[Event]) -> Ledger:
    """Jobs that were all due at monotonic 100 s = unix ms 1,000,000, and what was told of each, 10 ms apart."""
    ledger = Ledger(offset_ms=900_000)
    clock = count(1_000_010, 10)
    for job in jobs:
        ledger.sent(job, due=100.0, burst=0)
    for job, events in jobs.items():
        ledger.add(Record(event, job, next(clock), pod=f"pod-{job}", node="node-1") for event in events)
    return ledger


def outcome_of(**jobs: list[Event]) -> Outcome:
    return ledger_of(**jobs).outcome()


def test_a_job_that_started_and_finished_is_done_and_nothing_else() -> None:
    outcome = outcome_of(a=[START, FINISH])
    assert (outcome.enqueued, outcome.done, outcome.unfinished) == (1, 1, 0)
    assert (outcome.duplicated, outcome.interrupted, outcome.dead) == (0, 0, 0)


def test_a_job_of_which_nobody_told_is_unfinished() -> None:
    outcome = outcome_of(a=[START, FINISH], b=[])
    assert (outcome.done, outcome.unfinished) == (1, 1)


def test_a_second_start_without_an_end_of_the_first_is_an_interruption() -> None:
    outcome = outcome_of(a=[START, START, FINISH])
    assert (outcome.done, outcome.interrupted, outcome.duplicated) == (1, 1, 0)


def test_a_retry_after_a_failure_is_no_interruption() -> None:
    assert outcome_of(a=[START, FAIL, START, FINISH]).interrupted == 0


def test_a_job_that_is_running_now_is_no_interruption_yet() -> None:
    outcome = outcome_of(a=[START])
    assert (outcome.interrupted, outcome.unfinished) == (0, 1)
    assert outcome_of(a=[START, START]).interrupted == 1


def test_a_second_finish_is_a_duplicate() -> None:
    outcome = outcome_of(a=[START, FINISH, START, FINISH])
    assert (outcome.done, outcome.duplicated, outcome.interrupted) == (1, 1, 0)


def test_records_of_other_runs_are_passed_over() -> None:
    ledger = ledger_of(a=[START])
    ledger.add([Record(FINISH, "someone-else", 1)])
    assert ledger.outcome().done == 0
    assert ledger.records == 1


def test_dead_letters_count_once_and_only_our_own() -> None:
    ledger = ledger_of(a=[START, FAIL], b=[START, FINISH])
    ledger.add_dead(["a", "a", "someone-else"])
    assert ledger.settled
    outcome = ledger.outcome()
    assert (outcome.dead, outcome.unfinished, outcome.interrupted) == (1, 0, 0)


def test_a_job_is_settled_once_it_is_done_or_dead() -> None:
    ledger = ledger_of(a=[START, FINISH, FINISH], b=[START])
    assert not ledger.settled
    ledger.add([Record(FINISH, "b", 1_000_500)])
    assert ledger.settled


def test_a_job_whose_sending_was_never_confirmed_does_not_count() -> None:
    ledger = ledger_of(a=[START, FINISH], b=[START, FINISH])
    ledger.withdraw("b")
    outcome = ledger.outcome()
    assert (outcome.enqueued, outcome.done, ledger.done) == (1, 1, 1)


def test_waits_count_from_when_the_job_was_due() -> None:
    outcome = outcome_of(a=[START, FINISH], b=[START, FINISH])
    assert outcome.waits == pytest.approx((0.010, 0.030))
    assert outcome.first_starts == pytest.approx((0.010,))
    assert outcome.work_seconds == pytest.approx(0.040)


def test_a_wait_counts_to_the_first_start_only() -> None:
    assert outcome_of(a=[START, START, FINISH]).waits == pytest.approx((0.010,))


def test_each_burst_has_its_own_first_start() -> None:
    ledger = Ledger(offset_ms=0)
    ledger.sent("a", due=1.0, burst=0)
    ledger.sent("b", due=2.0, burst=1)
    ledger.sent("c", due=2.0, burst=1)
    ledger.add([Record(START, "c", 2_700), Record(START, "b", 2_400), Record(START, "a", 1_100)])
    outcome = ledger.outcome()
    assert outcome.first_starts == pytest.approx((0.1, 0.4))
    assert outcome.waits_of[0] == pytest.approx((0.1,))
    assert outcome.waits_of[1] == pytest.approx((0.4, 0.7))


def test_without_records_nothing_is_known_but_what_was_sent() -> None:
    outcome = outcome_of(a=[], b=[])
    assert not outcome.recorded
    assert (outcome.enqueued, outcome.waits, outcome.work_seconds) == (2, (), 0.0)


def test_pods_and_nodes_are_those_that_told_of_our_jobs() -> None:
    ledger = ledger_of(a=[START], b=[START])
    assert ledger.pods == {"pod-a", "pod-b"}
    assert ledger.nodes == {"node-1"}


def test_a_record_is_read_from_a_stream_entry() -> None:
    entry = {b"event": b"start", b"job": b"load-1", b"pod": b"p", b"node": b"n", b"attempt": b"1"}
    assert Record.parse(b"1700000000123-0", entry) == Record(START, "load-1", 1_700_000_000_123, pod="p", node="n")


@pytest.mark.parametrize(
    ("entry_id", "fields"),
    [
        (b"5-0", {}),
        (b"5-0", {b"event": b"start"}),
        (b"5-0", {b"event": b"unknown", b"job": b"a"}),
        (b"x-0", {b"event": b"start", b"job": b"a"}),
    ],
)
def test_what_is_no_record_is_passed_over(entry_id: bytes, fields: dict[bytes, bytes]) -> None:
    assert Record.parse(entry_id, fields) is None


def test_a_worker_s_clock_is_set_by_its_quickest_record() -> None:
    """It is an hour ahead here; its records took 300, 20 and 500 ms to come, so times are 20 ms late, and no more."""
    ledger, ahead = Ledger(offset_ms=0.0), 3_600_000.0
    for job in ("a", "b", "c"):
        ledger.sent(job, due=10.0, burst=0)
    for job, at, slow in (("a", 10_100.0, 300.0), ("b", 10_200.0, 20.0), ("c", 10_400.0, 500.0)):
        ledger.add([Record(START, job, at + ahead, pod="p", came_ms=at + slow)])
    assert ledger.outcome().waits == pytest.approx((0.120, 0.220, 0.420))


def test_each_worker_has_a_clock_of_its_own() -> None:
    ledger = Ledger(offset_ms=0.0)
    ledger.sent("a", due=1.0, burst=0)
    ledger.sent("b", due=1.0, burst=0)
    ledger.add([Record(START, "a", 5_000.0, pod="ahead", came_ms=1_500.0)])
    ledger.add([Record(START, "b", 100.0, pod="behind", came_ms=1_700.0)])
    assert ledger.outcome().waits == pytest.approx((0.5, 0.7))


def test_how_long_a_job_took_is_by_the_clock_of_who_did_it() -> None:
    ledger = Ledger(offset_ms=0.0)
    for job in ("retried", "of-two"):
        ledger.sent(job, due=1.0, burst=0)
    told = ((START, "p", 1.0), (FAIL, "p", 2.0), (START, "p", 5.0), (FINISH, "p", 5.25))
    ledger.add(Record(event, "retried", at * 1000, pod=pod) for event, pod, at in told)
    ledger.add([Record(START, "of-two", 1_000, pod="p"), Record(FINISH, "of-two", 9_000, pod="q")])
    assert ledger.outcome().runs == pytest.approx((0.25,))


def test_a_job_is_told_of_by_workers_and_by_dead_letters() -> None:
    ledger = ledger_of(started=[START], ended=[FINISH], dead=[], quiet=[])
    ledger.add_dead(["dead"])
    assert [ledger.told_of(job) for job in ("started", "ended", "dead", "quiet", "unknown")] == [True] * 3 + [False] * 2
