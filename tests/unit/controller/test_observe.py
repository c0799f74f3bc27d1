"""What the collectors say of workers, as decisions are made of it."""

from dataclasses import replace
from typing import Literal

import pytest

from workerpool.protocol import Counters
from workerpool.protocol import Share as ProtocolShare
from workerpool_operator.controller.observe import _reading, _report
from workerpool_operator.domain.scaling import Share
from workerpool_operator.domain.stuck import Conduct, Word
from workerpool_operator.protocol import LEAVING_FENCE, WorkerReport


@pytest.mark.parametrize(("said", "fence"), [("3.1", "3.1"), (LEAVING_FENCE, ""), ("", "")])
def test_a_worker_that_leaves_by_itself_obeys_no_fence_of_a_leader(said: str, fence: str) -> None:
    """Else each look at its pool would order it released, which its collector would not heed."""
    report = WorkerReport(pod="p", uid="u", age_seconds=0.0, in_flight=0, fence=said)
    assert _report(report).fence == fence


@pytest.mark.parametrize(("paused", "tripped"), [("circuit open: shop", True), ("rate limit", False), ("", False)])
def test_a_worker_that_finds_what_it_calls_down_is_seen_as_such(paused: str, tripped: bool) -> None:  # noqa: FBT001
    said = WorkerReport(pod="p", uid="u", age_seconds=0.0, paused=paused, slots=2, most_slots=4, cpu_cores=0.5)
    report = _report(said)
    assert (report.tripped, report.slots, report.most_slots, report.cpu_cores) == (tripped, 2, 4, 0.5)


COUNTERS = Counters(
    started=9, processed=4, failed=2, handed_back=1, first_attempts=7, first_failures=2, first_slow=3, first_late=1
)


def test_a_workers_counters_are_read_as_of_when_they_were_said() -> None:
    said = WorkerReport(
        pod="p", uid="u", version="v2", boot_id="b", age_seconds=4.0, in_flight=2, counters=COUNTERS, draining=True
    )
    conduct = Conduct(since=70.0, heard_at=96.0, last=Word(boot_id="b", taken=9, full=False))
    found = _reading(said, conduct, evicted=False, slow_after=None, now=100.0)
    assert (found.uid, found.version, found.start, found.heard_at, found.age_seconds) == ("u", "v2", "b", 96.0, 30.0)
    assert (found.started, found.finished, found.in_flight) == (9, 7, 2)
    assert (found.first_attempts, found.first_failures, found.first_slow, found.paused) == (7, 2, 3, True)
    assert found.first_late == 1
    assert not found.last_words, "it drains, and has not said its last"


def test_a_drained_worker_has_said_its_last() -> None:
    said = WorkerReport(pod="p", uid="u", age_seconds=0.0, draining=True, counters=COUNTERS)
    assert _reading(said, None, evicted=False, slow_after=None, now=1.0).last_words


@pytest.mark.parametrize(("source", "age"), [("stream", 0.0), ("scrape", float("inf"))])
def test_a_worker_of_which_the_start_is_not_known_is_new_with_a_stream_and_warm_without(
    source: Literal["stream", "scrape"], age: float
) -> None:
    said = WorkerReport(pod="p", uid="u", age_seconds=0.0, source=source)
    assert _reading(said, None, evicted=False, slow_after=None, now=1.0).age_seconds == age


def test_what_a_worker_says_of_its_share_and_kubernetes_of_its_end_is_known() -> None:
    said = WorkerReport(pod="p", uid="u", age_seconds=0.0, share=ProtocolShare(id="3.1", per_second=2.5))
    report = _report(said, ending=True)
    assert (report.share, report.ending) == (Share("3.1", 2.5), True)
    assert _report(replace(said, share=None)).share is None


@pytest.mark.parametrize(
    ("wanted", "says", "slow"), [(0.25, 0.25, 3), (0.25, 2.0, None), (0.25, None, None), (None, 2.0, 3)]
)
def test_who_counts_as_slow_something_else_than_the_pool_says_is_not_judged_by_it(
    wanted: float | None, says: float | None, slow: int | None
) -> None:
    """As workers whose SDK does not know the setting: a canary that brings one would be slower by definition."""
    said = WorkerReport(pod="p", uid="u", age_seconds=0.0, slow_after_seconds=says, counters=COUNTERS)
    found = _reading(said, None, evicted=False, slow_after=wanted, now=1.0)
    assert (found.first_slow, found.first_failures) == (slow, 2)
