"""What a pool's collectors say, gathered over time: who consumes, how fast jobs come, and how long they take.

It is kept on every replica, so a new leader has it. A worker's word comes again with each message of its collector, and
after a change of collector from another one: each is dated by when the worker said it. As to who consumes, only workers
on the stream count; the others cannot say why they take nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from workerpool_operator.domain.scaling import Meter, Progress, Service, Traffic, metered, served, stale_after
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
    _arrivals: dict[str, Meter] = field(default_factory=dict)
    """By queue, where its broker counts what comes."""
    _balance: Meter | None = None
    """Attempts that workers began, and jobs that wait."""
    _balanced: frozenset[str] = frozenset()
    """Queues that the balance is of."""
    _progress: dict[str, tuple[Progress, float]] = field(default_factory=dict)
    """By pod uid, with the time of the word."""
    _service: Service = field(default_factory=Service)

    def take_samples(self, samples: Iterable[QueueSample], *, now: float) -> None:
        """A collector has read queues, or has failed to."""
        for sample in samples:
            self._take_sample(sample, now=now)
        read = {name: one for name, one in self.waiting.items() if now - one.read_at <= one.last.holds_seconds}
        if len(read) < len(self.waiting) or not read:
            return  # what is not known now may make a difference
        if self._balanced != read.keys():
            self._balance, self._balanced = None, frozenset(read)
        total = self._service.begun + sum(one.last.waiting for one in read.values())
        self._balance = metered(self._balance, total, at=now, may_fall=True)

    def traffic(self, *, now: float) -> Traffic:
        """How fast jobs come and how long they take, as far as that is known."""
        counted = [rate for meter in self._arrivals.values() if (rate := meter.rate_at(now)) is not None]
        rates = [sum(counted)] if counted and len(counted) == len(self.waiting) else []
        if self._balance is not None and (balance := self._balance.rate_at(now)) is not None:
            rates.append(balance)
        return Traffic(arrivals=max(rates, default=None), service_seconds=self._service.mean)

    def _take_sample(self, sample: QueueSample, *, now: float) -> None:
        if sample.waiting is None or sample.error is not None:
            return
        reading = Reading(
            waiting=sample.waiting,
            # A job that came and waits for its ordering key was not drawn because it is not among the waiting.
            arrivals=None if sample.arrivals_total is None else sample.arrivals_total - sample.blocked,
            holds_seconds=stale_after(sample.poll_seconds),
        )
        before, at = self.waiting.get(sample.queue), now - sample.age_seconds
        self.waiting[sample.queue] = read(before, reading, at=at)
        if sample.arrivals_total is not None:
            self._arrivals[sample.queue] = metered(self._arrivals.get(sample.queue), sample.arrivals_total, at=at)

    def take_report(self, report: WorkerReport, *, now: float) -> None:
        """A collector has told of a worker."""
        if not report.connected:
            return
        self._take_progress(report, at=now - report.age_seconds)
        if report.source != "stream":
            return
        before, word, at = self.conducts.get(report.uid), _word(report), now - report.age_seconds
        if before is None or word != before.last or at - before.heard_at >= REPEATED_SECONDS:
            self.conducts[report.uid] = heard(before, word, at=at)

    def forget_before(self, moment: float) -> None:
        """Forget whoever has not been heard since then."""
        self.conducts = {uid: one for uid, one in self.conducts.items() if one.heard_at >= moment}
        self.waiting = {name: one for name, one in self.waiting.items() if one.read_at >= moment}
        self._arrivals = {name: one for name, one in self._arrivals.items() if name in self.waiting}
        self._progress = {uid: one for uid, one in self._progress.items() if one[1] >= moment}

    def _take_progress(self, report: WorkerReport, *, at: float) -> None:
        said, known = report.counters, self._progress.get(report.uid)
        if known is not None and at < known[1] + REPEATED_SECONDS:
            return
        now = Progress(report.boot_id, said.started, said.processed + said.failed, said.run_seconds)
        if known is not None and now == known[0]:
            self._progress[report.uid] = (now, at)
            return
        if not now.sensible:
            return
        if known is not None:
            self._service = served(self._service, known[0], now, at=at)
        self._progress[report.uid] = (now, at)


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
