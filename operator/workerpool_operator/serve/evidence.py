"""What a pool's collectors say, gathered over time: who consumes, how fast jobs come, and how long they take.

It is kept on every replica, so a new leader has it. A worker's word comes again with each message of its collector, and
after a change of collector from another one: each is dated by when the worker said it. What is held comes once: whoever
takes something in, or looks, has it caught up before (`catch_up`). As to who consumes, only workers on the stream
count; the others cannot say why they take nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from workerpool_operator.domain.scaling import Meter, Progress, Service, Traffic, metered, served, stale_after
from workerpool_operator.domain.stuck import Conduct, Reading, Waiting, Word, heard, held, read, unchanged
from workerpool_operator.protocol import LEAVING_FENCE, QueueSample, WorkerReport
from workerpool_operator.serve.said import Said

REPEATED_SECONDS: Final = 1.0
"""The same word is taken in so often: a collector tells of all its workers each time one of them says something."""
FORGET_SECONDS: Final = 60.0
"""Whoever has not been heard of for so long."""
_FORGET_EVERY_SECONDS: Final = 10.0


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
    _forgot_at: float = 0.0

    def catch_up(self, said: Iterable[Said]) -> None:
        """What was held up to now is taken in: by then nothing else was said of it."""
        for one in said:
            for sample in one.samples.values():
                if sample.vouch is not None:
                    self._hold_sample(sample.what, until=sample.moment)
            for report in one.workers.values():
                if report.vouch is not None:
                    self._hold_report(report.what, until=report.moment)

    def take_samples(self, samples: Iterable[QueueSample], *, now: float) -> None:
        """A collector has read queues, or has failed to."""
        self._forget(now=now)
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
        reading = _reading(sample)
        if reading is None:
            return
        before, at = self.waiting.get(sample.queue), now - sample.age_seconds
        self.waiting[sample.queue] = read(before, reading, at=at)
        self._meter(sample, at=at)

    def _hold_sample(self, sample: QueueSample, *, until: float) -> None:
        before, reading = self.waiting.get(sample.queue), _reading(sample)
        if before is None or reading is None or until <= before.read_at:
            return
        same = reading == before.last  # else another collector has read it meanwhile
        self.waiting[sample.queue] = unchanged(before, at=until) if same else read(before, reading, at=until)
        self._meter(sample, at=until)

    def _meter(self, sample: QueueSample, *, at: float) -> None:
        if sample.arrivals_total is not None:
            self._arrivals[sample.queue] = metered(self._arrivals.get(sample.queue), sample.arrivals_total, at=at)

    def take_reports(self, reports: Iterable[WorkerReport], *, now: float) -> None:
        """A collector has told of all workers that it knows."""
        self._forget(now=now)
        for report in reports:
            self._take_report(report, now=now)

    def _take_report(self, report: WorkerReport, *, now: float) -> None:
        if not report.connected:
            return
        self._take_progress(report, at=now - report.age_seconds)
        if report.source != "stream":
            return
        before, word, at = self.conducts.get(report.uid), _word(report), now - report.age_seconds
        if before is None or word != before.last or at - before.heard_at >= REPEATED_SECONDS:
            self.conducts[report.uid] = heard(before, word, at=at)

    def _hold_report(self, report: WorkerReport, *, until: float) -> None:
        self._take_progress(report, at=until)
        before = self.conducts.get(report.uid)
        if before is None or until - before.heard_at < REPEATED_SECONDS:
            return
        if before.last == _word(report):  # else it has said something else since, to another collector
            self.conducts[report.uid] = held(before, at=until)

    def _forget(self, *, now: float) -> None:
        """Now and then, where something is said: a pool of which nothing is said has nobody new."""
        if now - self._forgot_at < _FORGET_EVERY_SECONDS:
            return
        self._forgot_at, moment = now, now - FORGET_SECONDS
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


def _reading(sample: QueueSample) -> Reading | None:
    """None: it failed."""
    if sample.waiting is None or sample.error is not None:
        return None
    return Reading(
        waiting=sample.waiting,
        # A job that came and waits for its ordering key was not drawn because it is not among the waiting.
        arrivals=None if sample.arrivals_total is None else sample.arrivals_total - sample.blocked,
        holds_seconds=stale_after(sample.poll_seconds),
    )


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
