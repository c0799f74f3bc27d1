"""What a pool's collectors say, gathered as evidence of who consumes: kept on every replica, so a new leader has it.

A worker's word comes again with each message of its collector, and after a change of collector from another one: each
is dated by when the worker said it. Only workers on the stream are gathered; the others cannot say why they take
nothing.
"""

from dataclasses import dataclass, field
from typing import Final

from workerpool_operator.domain.scaling import stale_after
from workerpool_operator.domain.stuck import Conduct, Reading, Waiting, Word, heard, read
from workerpool_operator.protocol import LEAVING_FENCE, QueueSample, WorkerReport

REPEATED_SECONDS: Final = 1.0
"""The same word is taken in so often: a collector tells of all its workers each time one of them says something."""


@dataclass(slots=True)
class Evidence:
    """One pool. Times are the receiver's monotonic seconds."""

    conducts: dict[str, Conduct] = field(default_factory=dict)
    """By pod uid."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """By queue."""

    def take_sample(self, sample: QueueSample, *, now: float) -> None:
        """A collector has read a queue, or has failed to."""
        if sample.waiting is None or sample.error is not None:
            return
        reading = Reading(
            waiting=sample.waiting,
            # A job that came and waits for its ordering key was not drawn because it is not among the waiting.
            arrivals=None if sample.arrivals_total is None else sample.arrivals_total - sample.blocked,
            holds_seconds=stale_after(sample.poll_seconds),
        )
        before = self.waiting.get(sample.queue)
        self.waiting[sample.queue] = read(before, reading, at=now - sample.age_seconds)

    def take_report(self, report: WorkerReport, *, now: float) -> None:
        """A collector has told of a worker."""
        if report.source != "stream" or not report.connected:
            return
        before, word, at = self.conducts.get(report.uid), _word(report), now - report.age_seconds
        if before is None or word != before.last or at - before.heard_at >= REPEATED_SECONDS:
            self.conducts[report.uid] = heard(before, word, at=at)

    def forget_before(self, moment: float) -> None:
        """Forget whoever has not been heard since then."""
        self.conducts = {uid: one for uid, one in self.conducts.items() if one.heard_at >= moment}
        self.waiting = {name: one for name, one in self.waiting.items() if one.read_at >= moment}


def _word(report: WorkerReport) -> Word:
    fence, said = report.fence, report.counters
    leaving = report.draining or fence == LEAVING_FENCE
    return Word(
        boot_id=report.boot_id,
        taken=said.started + said.failed + said.handed_back,
        full=report.in_flight >= report.slots,
        fenced=fence != "" and not leaving,
        paused=report.paused != "" or leaving,
        barred=frozenset(report.troubles),
    )
