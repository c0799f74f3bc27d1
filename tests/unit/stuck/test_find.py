"""A worker is called stuck when nothing else explains what is seen, and never on what is not known."""

import pytest

from tests.unit.stuck.story import AFTER, Story, Teller, busy, stuck
from workerpool_operator.domain.stuck import RECHECK_SECONDS

LONG = 4 * AFTER


def test_a_worker_that_takes_nothing_while_jobs_wait_and_a_full_peer_goes_on_is_stuck() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER)
    assert story.stuck == set()
    found = story.run(2).found()
    assert (found.stuck, found.witnessed, found.waiting) == (frozenset("b"), True, 10)


def test_a_healthy_pool_under_load_has_nobody_stuck() -> None:
    assert Story({"a": busy(), "b": busy()}).run(LONG).stuck == set()


def test_while_nothing_waits_nobody_is_stuck() -> None:
    """Delayed jobs do not wait before their time has come: the broker does not count them."""
    assert Story({"a": busy(), "b": stuck()}, waiting={"main": 0}).run(LONG).stuck == set()


def test_jobs_must_have_waited_all_the_time() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 5)
    story.waiting["main"] = 0
    story.run(1)
    story.waiting["main"] = 10
    assert story.run(AFTER - 5).stuck == set()
    assert story.run(10).stuck == {"b"}


def test_a_queue_that_cannot_be_read_proves_nothing_though_it_was_full_before_and_is_after() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 5)
    story.waiting["main"] = None
    story.run(10)
    assert story.stuck == set()
    story.waiting["main"] = 10
    assert story.run(AFTER - 5).stuck == set()
    assert story.run(10).stuck == {"b"}


def test_a_queue_that_was_never_read_proves_nothing() -> None:
    assert Story({"a": busy(), "b": stuck()}, waiting={"main": None}).run(LONG).stuck == set()


def test_who_is_silent_for_a_while_has_its_time_anew() -> None:
    """Its stream broke, or its collector was replaced: what it did meanwhile is not known."""
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 5).run(20, without=["b"])
    assert story.stuck == set()
    assert story.run(AFTER - 2).stuck == set()
    assert story.run(5).stuck == {"b"}


def test_who_fell_silent_is_unknown_even_if_it_was_stuck() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER + 5)
    assert story.run(10, without=["b"]).stuck == {"b"}
    assert story.run(10, without=["b"]).stuck == set()


def test_after_a_collector_was_away_nobody_is_stuck_before_the_time_has_passed_again() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 5)
    story.now += 60
    assert story.run(AFTER - 5).stuck == set()


def test_a_worker_that_has_just_started_has_its_time() -> None:
    story = Story({"a": busy()}).run(LONG)
    story.workers["b"] = stuck()
    assert story.run(AFTER - 1).stuck == set()


def test_counters_that_begin_anew_are_another_process_which_has_its_time() -> None:
    story = Story({"a": busy(), "b": stuck(taken=7)}).run(AFTER - 5)
    story.workers["b"].boot, story.workers["b"].taken = "two", 0
    assert story.run(AFTER - 5).stuck == set()


def test_a_process_that_is_another_has_its_time_though_it_counts_the_same() -> None:
    """Neither has taken anything."""
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 5)
    story.workers["b"].boot = "two"
    assert story.run(AFTER - 5).stuck == set()


def test_a_count_that_fell_is_another_process_too() -> None:
    story = Story({"a": busy(), "b": stuck(taken=7)}).run(AFTER - 5)
    story.workers["b"].taken = 0
    assert story.run(AFTER - 5).stuck == set()


def test_a_restarted_peer_that_counts_higher_than_before_has_not_moved_by_that() -> None:
    """It is another process; whether it began anything since it was heard is to be seen."""
    story = Story({"a": stuck(paused=True, taken=5), "b": stuck()}).run(AFTER - 1)
    story.workers["a"].boot, story.workers["a"].taken = "two", 50
    assert story.run(5).stuck == set()


@pytest.mark.parametrize("reason", ["paused", "full"])
def test_a_worker_that_says_why_it_takes_nothing_is_not_stuck(reason: str) -> None:
    """A limit, an open breaker, keys that others hold: it says paused. One without a free slot is at work."""
    worker = Teller(**{reason: True})  # type: ignore[arg-type]
    assert Story({"a": busy(), "b": worker}).run(LONG).stuck == set()


def test_the_time_of_a_pause_does_not_count() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 5)
    story.workers["b"].paused = True
    story.run(1)
    story.workers["b"].paused = False
    assert story.run(AFTER - 5).stuck == set()


def test_the_time_behind_a_fence_does_not_count_and_takes_nothing_back() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER - 10)
    story.workers["b"].fenced = True
    assert story.run(LONG).stuck == set()
    story.workers["b"].fenced = False
    assert story.run(5).stuck == set()
    assert story.run(15).stuck == {"b"}


def test_who_is_fenced_for_being_stuck_stays_stuck() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER + 5)
    story.workers["b"].fenced = True
    assert story.run(LONG).stuck == {"b"}


def test_a_worker_that_begins_a_job_is_not_stuck_any_more() -> None:
    story = Story({"a": busy(), "b": stuck()}).run(AFTER + 5)
    story.workers["b"].taken += 1
    assert story.run(1).stuck == set()


def test_a_worker_without_a_stream_is_never_stuck() -> None:
    """Nothing is known of why it takes nothing."""
    assert Story({"a": busy(), "b": stuck(silent=True)}).run(LONG).stuck == set()


def test_a_stuck_peer_is_found_as_well() -> None:
    assert Story({"a": busy(), "b": stuck(), "c": stuck()}).run(AFTER + 2).stuck == {"b", "c"}


def test_a_peer_that_became_stuck_a_moment_ago_delays_and_does_not_hide() -> None:
    story = Story({"a": busy(), "b": stuck(), "c": busy()}).run(AFTER - 5)
    story.workers["c"].per_second, story.workers["c"].full = 0, False
    assert story.run(20).stuck == set()
    assert story.run(AFTER).stuck == {"b", "c"}


# Jobs that nobody could have had


def test_jobs_that_a_peer_with_room_leaves_alone_as_well_are_no_sign() -> None:
    """The broker counts wrong, or others hold these jobs: a peer does what comes now and then, and is full by it."""
    story = Story({"a": Teller(full=True), "b": stuck()})
    for _ in range(30):
        story.workers["a"].taken += 1
        story.workers["a"].full = True
        story.run(1)
        story.workers["a"].full = False
        story.run(9)
        assert story.stuck == set()


def test_jobs_that_a_peer_which_is_never_full_leaves_alone_are_no_sign() -> None:
    """Jobs of one key, one after the other, in a worker with many slots."""
    assert Story({"a": Teller(per_second=1), "b": stuck()}).run(LONG).stuck == set()


def test_of_several_queues_the_one_with_the_waiting_jobs_must_be_drawn_from() -> None:
    """Else it may be at fault for everybody, while the peers live of another."""
    waiting: dict[str, int | None] = {"main": 10, "other": 0}
    broken = Story({"a": busy(), "b": stuck()}, waiting=dict(waiting), drawn=frozenset({"other"}))
    assert broken.run(LONG).stuck == set()
    healthy = Story({"a": busy(), "b": stuck()}, waiting=dict(waiting), drawn=frozenset({"main"}))
    assert healthy.run(AFTER + 2).stuck == {"b"}


def test_of_several_queues_one_whose_broker_does_not_count_proves_nothing() -> None:
    assert Story({"a": busy(), "b": stuck()}, waiting={"main": 10, "other": 0}).run(LONG).stuck == set()


# Of several queues one that a worker cannot reach

BOTH: dict[str, int | None] = {"main": 10, "other": 10}
MAIN, OTHER = frozenset({"main"}), frozenset({"other"})


def test_a_worker_that_cannot_reach_one_queue_is_stuck_when_it_takes_nothing_from_the_other() -> None:
    story = Story({"a": busy(barred=OTHER), "b": stuck(barred=OTHER)}, waiting=dict(BOTH), drawn=MAIN).run(AFTER + 2)
    assert story.stuck == {"b"}
    assert story.found().waiting == 10


def test_what_waits_where_a_worker_cannot_reach_it_is_nothing_against_this_worker() -> None:
    story = Story({"a": busy(), "b": stuck(barred=MAIN)}, waiting={"main": 10, "other": 0}, drawn=MAIN | OTHER)
    assert story.run(LONG).stuck == set()


def test_a_worker_that_reaches_a_queue_again_has_its_time_anew() -> None:
    story = Story({"a": busy(), "b": stuck(barred=MAIN)}, waiting={"main": 10, "other": 0}, drawn=MAIN | OTHER)
    story.run(LONG).workers["b"].barred = frozenset()
    assert story.run(AFTER).stuck == set()
    assert story.run(2).stuck == {"b"}


def test_without_a_peer_that_goes_on_a_queue_that_one_cannot_reach_makes_nobody_stuck() -> None:
    """It is away for all of them, some have yet to notice. What waits elsewhere counts."""
    waiting: dict[str, int | None] = {"main": 10, "other": 0}
    story = Story({"a": stuck(), "b": stuck(barred=MAIN)}, waiting=waiting).run(LONG)
    assert story.stuck == set()
    waiting["other"] = 10
    assert story.run(2 * AFTER + 2).stuck == {"a", "b"}


# Without a peer to compare with


def test_a_single_worker_is_stuck_after_twice_the_time() -> None:
    story = Story({"a": stuck()}).run(2 * AFTER)
    assert story.stuck == set()
    found = story.run(2).found()
    assert (found.stuck, found.witnessed) == (frozenset("a"), False)


def test_all_are_stuck_after_twice_the_time() -> None:
    story = Story({"a": stuck(), "b": stuck()}).run(AFTER + 10)
    assert story.stuck == set()
    assert story.run(AFTER).stuck == {"a", "b"}


def test_an_outage_of_the_broker_makes_nobody_stuck() -> None:
    """Nobody goes on, and at least one says that it cannot reach the broker."""
    story = Story({"a": stuck(), "b": stuck(paused=True)}).run(LONG)
    assert story.stuck == set()


def test_beside_a_peer_with_long_jobs_a_worker_is_stuck_after_twice_the_time() -> None:
    """The peer has been full all along and has begun nothing: it proves nothing."""
    story = Story({"a": Teller(full=True), "b": stuck()}).run(AFTER + 10)
    assert story.stuck == set()
    assert story.run(AFTER).stuck == {"b"}


# When to look again


def test_one_looks_again_when_somebody_could_be_stuck_by_then() -> None:
    """From the first moment on: what says the same later makes nobody look."""
    story = Story({"a": busy(), "b": stuck()}).run(1)
    assert story.found().look_again == AFTER
    assert story.run(10).found().look_again == AFTER - 10


def test_what_speaks_against_it_may_pass_without_a_word() -> None:
    story = Story({"a": stuck(paused=True), "b": stuck()}).run(LONG)
    assert story.found().look_again == RECHECK_SECONDS


def test_while_nothing_waits_or_nobody_is_there_no_time_changes_anything() -> None:
    assert Story({"a": busy(), "b": stuck()}, waiting={"main": 0}).run(10).found().look_again is None
    assert Story({}).run(10).found().look_again is None
    assert Story({}, waiting={}).found().look_again is None
