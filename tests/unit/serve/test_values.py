"""The board of values: what is published, and for how long it may be believed."""

from dataclasses import dataclass
from typing import Any

from workerpool_operator.protocol import QueueSample, SampleError, Samples
from workerpool_operator.serve.state import Peer, StreamState
from workerpool_operator.serve.values import Value, ValueBoard

A = Peer(namespace="media", pod="collector-a")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def board() -> tuple[ValueBoard, Clock]:
    clock = Clock()
    made = ValueBoard(clock=clock)
    made.begin()
    return made, clock


def test_a_value_is_as_old_as_the_oldest_reading_behind_it() -> None:
    values, clock = board()
    values.read("media", "web", "a", age=1.0, stale_after=5.0)
    values.read("media", "web", "b", age=0.0, stale_after=5.0)
    values.publish("media", "web", 7, queues=("a", "b"))
    clock.now += 2.0
    assert values.get("media", "web") == Value(7, read_at=clock.now - 3.0, fresh_until=clock.now + 2.0)


def test_a_value_lapses_with_the_first_of_its_readings_and_comes_back_with_the_next() -> None:
    """Nobody publishes anew: at rest nobody decides anew."""
    values, clock = board()
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    values.read("media", "web", "b", age=0.0, stale_after=9.0)
    values.publish("media", "web", 7, queues=("a", "b"))
    clock.now += 5.0
    assert values.get("media", "web") is not None
    clock.now += 0.1
    assert values.get("media", "web") is None
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    assert values.get("media", "web") is not None


def test_a_value_does_not_wait_for_queues_that_had_no_part_in_it() -> None:
    """A decision on some of the queues is one."""
    values, clock = board()
    values.read("media", "web", "a", age=0.0, stale_after=60.0)
    values.read("media", "web", "gone", age=0.0, stale_after=5.0)
    clock.now += 6.0
    values.publish("media", "web", 7, queues=("a", "gone", "never"))
    assert values.get("media", "web") is not None


def test_a_queue_that_is_the_pools_no_more_takes_no_value_with_it() -> None:
    values, clock = board()
    values.read("media", "web", "kept", age=0.0, stale_after=60.0)
    values.read("media", "web", "removed", age=0.0, stale_after=5.0)
    values.publish("media", "web", 7, queues=("kept",))
    clock.now += 6.0
    assert values.get("media", "web") is not None


def test_a_value_whose_readings_aged_out_since_the_decision_comes_back_with_them() -> None:
    values, clock = board()
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    clock.now += 5.1
    values.publish("media", "web", 7, queues=("a",))
    assert values.get("media", "web") is None
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    assert values.get("media", "web") is not None


def test_without_any_reading_there_is_no_value() -> None:
    values, _ = board()
    values.publish("media", "web", 7, queues=("a",))
    assert values.get("media", "web") is None
    assert values.get("media", "other") is None


def test_an_older_reading_does_not_replace_a_newer_one() -> None:
    """Two collectors, one of them slow."""
    values, clock = board()
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    values.read("media", "web", "a", age=4.0, stale_after=5.0)
    values.publish("media", "web", 7, queues=("a",))
    assert values.get("media", "web") == Value(7, read_at=clock.now, fresh_until=clock.now + 5.0)


def test_a_withdrawn_value_is_gone() -> None:
    values, _ = board()
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    values.publish("media", "web", 7, queues=("a",))
    values.withdraw("media", "web")
    assert values.get("media", "web") is None


def test_nothing_survives_a_term() -> None:
    """Neither what was published in it, nor what a reconcile that was under way publishes after it."""
    values, _ = board()
    values.read("media", "web", "a", age=0.0, stale_after=60.0)
    values.publish("media", "web", 7, queues=("a",))
    values.end()
    between = values.open
    values.publish("media", "web", 8, queues=("a",))
    values.begin()
    assert (between, values.open) == (False, True)
    assert values.get("media", "web") is None


def test_what_has_not_been_read_for_long_costs_no_memory() -> None:
    values, clock = board()
    values.read("media", "gone", "a", age=0.0, stale_after=5.0)
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    clock.now += 66.0
    values.read("media", "web", "b", age=0.0, stale_after=5.0)
    values.tidy()
    assert {pool: set(readings) for (_, pool), readings in values._readings.items()} == {"web": {"b"}}


def test_every_usable_reading_that_arrives_is_told() -> None:
    """Also one that says what the last one said, also on a standby; a failed one is none."""
    values, clock = board()
    streams = StreamState(on_change=lambda namespace, pool: None, readings=values, clock=clock)

    def receive(**reading: Any) -> None:
        sample = QueueSample(queue="a", age_seconds=0.5, poll_seconds=1.0, **reading)
        streams.receive(A, Samples(pool="web", samples=(sample,)))

    receive(waiting=0, in_flight=0)
    values.publish("media", "web", 7, queues=("a",))
    clock.now += 4.0
    receive(waiting=0, in_flight=0)
    clock.now += 4.5
    assert values.get("media", "web") == Value(7, read_at=clock.now - 5.0, fresh_until=clock.now)
    receive(error=SampleError.UNREACHABLE)
    receive(waiting=3)
    clock.now += 0.1
    assert values.get("media", "web") is None


def test_the_streams_tidy_up_the_board() -> None:
    values, clock = board()
    streams = StreamState(on_change=lambda namespace, pool: None, readings=values, clock=clock)
    values.read("media", "web", "a", age=0.0, stale_after=5.0)
    clock.now += 66.0
    streams.tidy()
    assert not values._readings
