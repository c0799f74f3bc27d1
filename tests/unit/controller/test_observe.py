"""What the collectors say of workers, as decisions are made of it."""

import pytest

from workerpool_operator.controller.observe import _report
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
