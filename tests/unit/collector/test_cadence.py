"""How often a queue is read, and which readings are told."""

from dataclasses import replace

from workerpool_operator.collector.cadence import (
    BURST_SECONDS,
    BUSY_AFTER_SECONDS,
    BUSY_SECONDS,
    CONFIRM_IDLE_SECONDS,
    CONFIRM_STANDING_SECONDS,
    IDLE_SECONDS,
    LONGEST_REST_SECONDS,
    LONGEST_WATCH_SECONDS,
    READINGS_PER_SECOND,
    WATCH_SECONDS,
    Cadence,
    Crowd,
    Pace,
    longest_rest,
)
from workerpool_operator.protocol import QueueSample, SampleError

BUSY, IDLE, WATCH = Pace(sleep=BUSY_SECONDS), Pace(sleep=IDLE_SECONDS), Pace(watch=WATCH_SECONDS)


class Played:
    """A cadence that is told of readings."""

    def __init__(self, *, watchable: bool = False, still: bool = False, rest: float = LONGEST_REST_SECONDS) -> None:
        self.cadence = Cadence(rest=rest)
        self.watchable = watchable
        self.still = still

    def read(self, waiting: int, at: float, *, woken: bool = False) -> tuple[Pace, bool]:
        sample = QueueSample(queue="q", age_seconds=0, waiting=waiting, in_flight=0)
        return self.cadence.next(sample, now=at, watchable=self.watchable, woken=woken, still=self.still)

    def fail(self, at: float) -> tuple[Pace, bool]:
        sample = QueueSample(queue="q", age_seconds=0, error=SampleError.UNREACHABLE)
        return self.cadence.next(sample, now=at, watchable=self.watchable, woken=False)


def test_a_queue_at_rest_is_told_seldom_and_at_once_when_something_comes() -> None:
    queue = Played()
    assert queue.read(0, 0.0) == (BUSY, True)
    assert queue.read(0, 6.0) == (IDLE, True), "the slower pace is told"
    assert queue.read(0, 6.0) == (IDLE, False)
    assert queue.read(3, 7.0) == (BUSY, True)
    assert queue.read(3, 7.25) == (BUSY, False)
    assert queue.read(3, 8.0) == (BUSY, True)
    assert queue.read(0, 8.25) == (BUSY, True)
    assert queue.read(0, 13.5) == (IDLE, True)
    assert queue.read(0, 14.0) == (IDLE, False)
    assert queue.cadence.confirm_seconds == CONFIRM_IDLE_SECONDS
    assert queue.read(0, 43.0) == (Pace(sleep=LONGEST_REST_SECONDS), False)
    assert queue.read(0, 43.5) == (Pace(sleep=LONGEST_REST_SECONDS), True)


def test_readings_of_a_queue_at_rest_come_apart_as_far_as_they_may_and_close_up_when_it_moves() -> None:
    """The news of a job is late by no more than a twelfth of the pause before it."""
    queue = Played(rest=5.0)
    queue.read(0, 0.0)
    assert [queue.read(0, at)[0].sleep for at in (6.0, 12.0, 30.0, 60.0, 3600.0)] == [0.5, 1.0, 2.5, 5.0, 5.0]
    assert queue.read(1, 3605.0) == (BUSY, True)
    queue.read(0, 3606.0)
    assert queue.read(0, 3612.0)[0] == IDLE


def test_a_watch_of_a_broker_whose_readings_are_dear_becomes_longer() -> None:
    queue = Played(watchable=True, rest=5.0)
    queue.read(0, 0.0)
    assert [queue.read(0, at)[0].watch for at in (6.0, 30.0, 600.0)] == [WATCH_SECONDS, 2.5, 5.0]


def test_jobs_that_are_counted_though_no_reading_sees_one_keep_the_readings_close() -> None:
    queue = Cadence(rest=5.0)
    paces = []
    for at in range(0, 120, 2):
        sample = QueueSample(queue="q", age_seconds=0, waiting=0, in_flight=0, arrivals_total=at)
        paces.append(queue.next(sample, now=float(at), watchable=False, woken=False)[0])
    assert set(paces[3:]) == {IDLE}


def test_how_far_apart_readings_may_come_follows_from_what_they_cost_the_broker() -> None:
    assert longest_rest({"name": "q", "rabbitmq": {"queue": "q"}}) == longest_rest({"kafka": {"topic": "t"}}) == 5.0
    assert longest_rest({"name": "q", "redisList": {"keys": ["k"]}, "rabbitmq": None}) == LONGEST_REST_SECONDS


def test_a_queue_at_rest_is_watched_and_still_confirmed_every_half_minute() -> None:
    queue = Played(watchable=True)
    assert queue.read(0, 0.0) == (BUSY, True), "one that moves is read, not watched"
    assert queue.read(0, 6.0) == (WATCH, True)
    assert [queue.read(0, 6.0 + second) for second in range(1, 30)] == [(WATCH, False)] * 29
    assert queue.read(0, 36.0) == (WATCH, True)


def test_a_queue_at_rest_with_nothing_delayed_is_left_to_its_watch() -> None:
    """A job that comes is all that can happen in it, and the watch sees that."""
    queue = Played(watchable=True, still=True)
    assert queue.read(0, 0.0) == (BUSY, True), "not while it moves"
    assert [queue.read(0, at)[0].watch for at in (6.0, 30.0, 600.0)] == [WATCH_SECONDS, 2.5, LONGEST_WATCH_SECONDS]
    queue.still = False
    assert queue.read(0, 610.0)[0] == WATCH, "a delayed job comes without a sign"
    queue.still, queue.watchable = True, False
    assert queue.read(0, 611.0)[0] == Pace(sleep=LONGEST_REST_SECONDS), "and so does any, where nobody watches"


def test_a_queue_in_which_nothing_changes_stands_and_is_read_every_second() -> None:
    """Jobs of minutes, or nobody who takes any: what a watch does not see is that one of them is done."""
    queue = Played(watchable=True, still=True)
    assert queue.read(3, 0.0) == (BUSY, True)
    assert queue.read(3, 4.0) == (BUSY, True)
    assert queue.read(3, 6.0) == (WATCH, True), "the slower pace is told"
    assert [queue.read(3, 6.0 + second)[1] for second in range(1, 6)] == [False] * 4 + [True]
    assert queue.cadence.confirm_seconds == CONFIRM_STANDING_SECONDS
    assert queue.read(3, 600.0)[0] == WATCH
    assert queue.read(2, 601.0) == (BUSY, True)
    assert queue.read(0, 602.0) == (BUSY, True)
    assert queue.read(0, 608.0) == (WATCH, True)


def test_a_queue_that_is_read_seldom_is_confirmed_no_more_often_than_it_is_read() -> None:
    cadence = Cadence(every=12.0)
    sample = QueueSample(queue="q", age_seconds=0, waiting=3, in_flight=0)
    for second in (0.0, 12.0):
        assert cadence.next(sample, now=second, watchable=False, woken=False) == (Pace(sleep=12.0), True)
        assert cadence.confirm_seconds == 12.0


def test_a_burst_that_woke_the_reader_is_read_again_soon_and_then_as_any_other() -> None:
    queue = Played(watchable=True)
    queue.read(0, 0.0)
    queue.read(0, 6.0)
    assert queue.read(5, 6.5, woken=True) == (Pace(sleep=BURST_SECONDS), True)
    assert queue.read(60, 6.6) == (BUSY, True)


def test_jobs_that_are_gone_by_the_time_they_are_read_leave_the_queue_at_rest_and_bound_the_readings() -> None:
    queue = Played(watchable=True)
    queue.read(0, 0.0)
    queue.read(0, 6.0)
    pace, tell = queue.read(0, 6.1, woken=True)
    assert (pace.sleep, pace.sleep + pace.watch, tell) == (BUSY_SECONDS, WATCH_SECONDS, False)


def test_a_queue_that_cannot_be_read_is_asked_less_and_less_often_and_not_watched() -> None:
    queue = Played(watchable=True)
    paces = [queue.fail(float(second))[0] for second in range(10)]
    assert paces[0].sleep <= 0.5
    assert 2.5 <= paces[-1].sleep <= 5.0
    assert not any(pace.watch for pace in paces)


def test_a_queue_that_can_be_read_again_moves() -> None:
    queue = Played(watchable=True)
    queue.fail(0.0)
    assert queue.read(0, 5.0) == (BUSY, True)
    assert queue.read(0, 5.0 + BUSY_AFTER_SECONDS)[0] == WATCH


def test_jobs_that_came_and_went_are_told_once_a_second_at_most() -> None:
    queue = Played()

    def read(arrivals: int, at: float) -> bool:
        sample = QueueSample(queue="q", age_seconds=0, waiting=0, in_flight=0, arrivals_total=arrivals)
        return queue.cadence.next(sample, now=at, watchable=False, woken=False)[1]

    read(0, 0.0)
    read(0, 6.0)
    assert [read(1, 6.5), read(2, 7.0), read(3, 7.5), read(3, 8.5), read(4, 9.0)] == [False, True, False, True, False]
    assert not read(4, 9.1)
    assert read(4, 9.5)
    assert not any(read(4, 9.5 + second) for second in range(1, 10))


def crowded(waiting: int, *, queues: int) -> tuple[Crowd, list[Cadence]]:
    crowd = Crowd()
    cadences = [Cadence(crowd=crowd) for _ in range(queues)]
    sample = QueueSample(queue="q", age_seconds=0, waiting=waiting, in_flight=0)
    for cadence in cadences:
        cadence.next(sample, now=0.0, watchable=True, woken=False, still=True)
    return crowd, cadences


def test_queues_that_move_share_the_readings_of_their_collector() -> None:
    """A thousand at four readings a second each would come too late to count for any."""
    _, (cadence, *others) = crowded(3, queues=1000)
    sample = QueueSample(queue="q", age_seconds=0, waiting=4, in_flight=0)
    shared = Pace(sleep=1000 / READINGS_PER_SECOND)
    for woken in (False, True):
        assert cadence.next(sample, now=1.0, watchable=True, woken=woken)[0] == shared
    for other in others:
        other.leave()
    assert cadence.next(sample, now=2.0, watchable=True, woken=False)[0] == BUSY


def test_queues_that_stand_share_them_too_and_those_at_rest_count_for_nobody() -> None:
    crowd, cadences = crowded(3, queues=1000)
    standing = QueueSample(queue="q", age_seconds=0, waiting=3, in_flight=0)
    empty = replace(standing, waiting=0)
    assert cadences[0].next(standing, now=6.0, watchable=True, woken=False)[0] == Pace(watch=2.5)
    for cadence in cadences[1:]:
        cadence.next(empty, now=6.0, watchable=True, woken=False, still=True)
    assert crowd.pause(BUSY_SECONDS) == 2.5, "they have just moved"
    for cadence in cadences[1:]:
        cadence.next(empty, now=6.0 + BUSY_AFTER_SECONDS, watchable=True, woken=False, still=True)
    assert crowd.pause(BUSY_SECONDS) == BUSY_SECONDS
    assert cadences[0].next(standing, now=12.0, watchable=True, woken=False)[0] == WATCH
