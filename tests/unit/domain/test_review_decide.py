"""Nothing is concluded from a time in which nothing was known."""

from dataclasses import replace

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling import Decision, History, Inputs, Outcome, Pace, Rules, Sample, decide

RULES = Rules(
    manual_replicas=None,
    min_replicas=0,
    max_replicas=50,
    cooldown_seconds=300,
    down=Pace(stabilization_seconds=30),
    slots=1,
    targets=Targets(queue_depth_per_replica=1),
)


def ask(
    *counts: tuple[int, int],
    history: History,
    now: float,
    current: int,
    rules: Rules = RULES,
    queues: tuple[str, ...] = ("a",),
    start: float = 0.0,
) -> Decision:
    samples = [
        Sample(queue=queue, waiting=waiting, in_flight=running, age=0.1, poll_seconds=1.0)
        for queue, (waiting, running) in zip(queues, counts, strict=False)
    ]
    return decide(
        Inputs(
            rules=rules,
            queues=queues,
            samples=samples,
            current=current,
            history=history,
            now=now,
            pod_start_seconds=start,
        )
    )


def test_the_cooldown_begins_anew_when_the_queues_are_read_again_after_an_outage() -> None:
    """Jobs may have come and gone meanwhile: zero is for pools that were seen empty for the whole cooldown."""
    busy = ask((5, 5), history=History(since=0.0, active_at=0.0), now=1000.0, current=10)
    away = ask(history=busy.history, now=1010.0, current=10)
    assert (away.desired, away.outcome) == (10, Outcome.HELD)
    back = ask((0, 0), history=away.history, now=1400.0, current=10)
    assert back.desired == 10, "the window of stabilisation was not seen either"
    settled = ask((0, 0), history=back.history, now=1431.0, current=10)
    assert (settled.desired, settled.limited_by) == (1, (Limiter.COOLDOWN,))
    assert settled.look_again is not None
    assert ask((0, 0), history=settled.history, now=1701.0, current=1).desired == 0


def test_a_queue_that_could_not_be_read_counts_like_an_outage() -> None:
    queues = ("a", "b")
    busy = ask((5, 5), (0, 0), history=History(since=0.0, active_at=0.0), now=1000.0, current=10, queues=queues)
    partly = ask((0, 0), history=busy.history, now=1350.0, current=10, queues=queues)
    assert (partly.desired, partly.outcome) == (10, Outcome.PARTIAL)
    back = ask((0, 0), (0, 0), history=partly.history, now=1351.0, current=10, queues=queues)
    assert back.desired == 10


def failing(history: History, *, now: float, age: float = 0.1) -> Decision:
    """The reading of the only queue has failed, for the first time at `now - age`."""
    failed = Sample(queue="a", waiting=None, in_flight=None, age=age, poll_seconds=1.0)
    return decide(Inputs(rules=RULES, queues=("a",), samples=[failed], current=1, history=history, now=now))


def test_a_broker_that_fails_for_a_moment_lets_a_pool_rest_all_the_same() -> None:
    """Once a minute, for no longer than a reading counts: the cooldown goes on, and the size is held meanwhile."""
    history = ask((1, 0), history=History(since=0.0, active_at=0.0), now=1000.0, current=1).history
    for now in range(1060, 1300, 60):
        for age in (0.1, 3.1):
            failed = failing(history, now=now + age, age=age)
            assert (failed.desired, failed.outcome) == (1, Outcome.HELD)
            history = failed.history
        again = ask((0, 0), history=history, now=now + 4.9, current=1)
        assert (again.desired, again.limited_by) == (1, (Limiter.COOLDOWN,))
        history = again.history
    assert ask((0, 0), history=history, now=1301.0, current=1).desired == 0


def test_one_that_fails_again_and_again_without_an_answer_between_is_an_outage() -> None:
    """However young each failure is."""
    history = ask((1, 0), history=History(since=0.0, active_at=0.0), now=1000.0, current=1).history
    for now in (1100.0, 1103.0, 1106.0):
        history = failing(history, now=now).history
    back = ask((0, 0), history=history, now=1107.0, current=1)
    assert ask((0, 0), history=back.history, now=1301.0, current=1).desired == 1


def test_growth_waits_for_no_window_after_an_outage() -> None:
    away = ask(history=History(since=0.0, active_at=0.0), now=1000.0, current=2)
    assert ask((9, 0), history=away.history, now=1001.0, current=2).desired == 9


def test_the_next_look_at_the_depth_comes_when_workers_that_start_slowly_have_started() -> None:
    """A queue that stands still tells nothing new: only the timer asks again."""
    rules = replace(RULES, targets=Targets(queue_depth=100))
    first = ask((500, 0), history=History(since=0.0, active_at=0.0), now=1000.0, current=50, rules=rules, start=60.0)
    second = ask((500, 0), history=first.history, now=1020.0, current=50, rules=rules, start=60.0)
    third = ask((500, 0), history=second.history, now=1050.0, current=50, rules=rules, start=60.0)
    assert third.look_again == 10.0
