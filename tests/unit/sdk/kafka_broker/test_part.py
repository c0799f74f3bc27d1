"""What is read of a partition is given out once, in order or when it is due."""

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from workerpool.broker._kafka.ledger import WINDOW, Ledger
from workerpool.broker._kafka.part import Part


def record(offset: int, *, due: int = 0) -> Any:
    headers = [("type", b"t"), ("due", str(due).encode())]
    return SimpleNamespace(topic="t", partition=0, offset=offset, headers=headers, value=b"1", timestamp=0)


def part(*, timed: bool = False, base: int = 0) -> Part:
    return Part(TopicPartition("t", 0), Ledger(base), timed=timed, next=base)


def test_offsets_that_hold_no_job_are_done() -> None:
    one = part()
    one.read(record(3))
    assert (one.ledger.base, one.next) == (3, 4)


def test_what_was_read_before_is_not_read_twice() -> None:
    one = part()
    for offset in (0, 1, 0):
        one.read(record(offset))
    assert [one.pop().offset, one.pop().offset] == [0, 1]
    assert not one.due(1.0)


def test_what_is_done_already_is_not_given_out() -> None:
    one = part()
    one.ledger.finish(1)
    for offset in range(3):
        one.read(record(offset))
    assert [one.pop().offset, one.pop().offset] == [0, 2]


def test_jobs_that_wait_come_when_they_are_due_whatever_their_order() -> None:
    one = part(timed=True)
    one.read(record(0, due=9000))
    one.read(record(1, due=3000))
    assert (one.due(2.9), one.due(3.0), one.next_due()) == (False, True, 3.0)
    assert one.pop().offset == 1
    assert not one.due(3.0)


def test_a_partition_whose_first_job_does_not_end_is_held_up() -> None:
    one = part()
    one.ledger.begin(0)
    one.next = WINDOW
    one.put_back(record(WINDOW))
    assert (one.held_up, one.due(1.0)) == (True, False)
    one.ledger.finish(0)
    assert (one.held_up, one.due(1.0)) == (False, True)
