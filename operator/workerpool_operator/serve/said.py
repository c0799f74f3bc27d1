"""What collectors said of a pool, and which of two counts where they say different things."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from workerpool_operator.domain.scaling import Forecast
from workerpool_operator.protocol import Arrivals, PodReport, QueueSample, Samples, WorkerReport, Workers
from workerpool_operator.serve.vouching import Told, Vouch

RECENT_SECONDS: Final = 5.0
"""A reading that failed does not outweigh another collector's good one that is younger than this."""


@dataclass(slots=True)
class Said:
    """What one collector said of one pool. Times are the receiver's."""

    samples: dict[str, Told[QueueSample]] = field(default_factory=dict)
    workers: dict[str, Told[WorkerReport]] = field(default_factory=dict)
    pods: dict[str, PodReport] = field(default_factory=dict)
    pods_at: float = 0.0
    heard_at: float = 0.0
    vouch: Vouch = field(default_factory=Vouch)
    """Of the connection that spoke last."""
    forecast: Forecast | None = None

    @property
    def known_at(self) -> float:
        """When the pool was last spoken of, among others or by itself."""
        return max(self.heard_at, self.vouch.until)

    def take_samples(self, message: Samples, *, now: float) -> None:
        """Readings have come. A queue that is not among them is held no more."""
        told = {
            sample.queue: Told(sample, now - sample.age_seconds, self.vouch if sample.held else None)
            for sample in message.samples
        }
        self.samples = {queue: one.alone() for queue, one in self.samples.items()} | told

    def take_workers(self, message: Workers, *, now: float) -> None:
        """All workers, and the pods that are told of."""
        self.workers = {
            report.uid: Told(report, now - report.age_seconds, self.vouch if report.held and report.connected else None)
            for report in message.workers
        }
        self.pods, self.pods_at = {pod.uid: pod for pod in message.pods}, now

    def let_go(self, *, samples: bool, workers: bool) -> None:
        """These are held no more."""
        if samples:
            self.samples = {queue: one.alone() for queue, one in self.samples.items()}
        if workers:
            self.workers = {uid: one.alone() for uid, one in self.workers.items()}
        if samples and workers:
            self.vouch = Vouch()

    def take_forecast(self, message: Arrivals) -> bool:
        """Take it in; whether it says anything else than before."""
        before, self.forecast = self.forecast, Forecast(rate=message.rate, error=message.error, why=message.why)
        return self.forecast != before


def lacks(said: Iterable[Said], *, queues: Iterable[str]) -> bool:
    """Whether nothing was ever said of the workers, or of one of the queues."""
    told = list(said)
    read = {queue for one in told for queue in one.samples}
    return not (any(one.pods_at for one in told) and read.issuperset(queues))


def freshest_samples(said: Iterable[Said], *, now: float) -> Iterator[QueueSample]:
    """Of each queue the reading that counts."""
    best: dict[str, QueueSample] = {}
    for one in said:
        for queue, told in one.samples.items():
            aged = replace(told.what, age_seconds=now - told.moment)
            known = best.get(queue)
            if known is None or _worth(aged) < _worth(known):
                best[queue] = aged
    return iter(best.values())


def _worth(sample: QueueSample) -> tuple[bool, bool, float]:
    """Of two collectors' readings: a recent one, without error, the fresher. The least is the best."""
    return (sample.age_seconds > RECENT_SECONDS, sample.error is not None, sample.age_seconds)


def best_reports(said: Iterable[Said], *, now: float) -> Iterator[WorkerReport]:
    """A stream beats a scrape, a connection beats none, and then the fresher wins."""
    best: dict[str, WorkerReport] = {}
    for one in said:
        for uid, told in one.workers.items():
            aged = replace(told.what, age_seconds=now - told.moment)
            known = best.get(uid)
            if known is None or _rank(aged) < _rank(known):
                best[uid] = aged
    return iter(best.values())


def newest_pods(said: Iterable[Said], *, now: float) -> Iterable[PodReport]:
    """As whoever spoke last has them. That nothing is heard of a pod is no news, so it is told once and ages here."""
    pods: dict[str, PodReport] = {}
    for one in sorted(said, key=lambda one: one.heard_at):
        pods |= {uid: _aged(pod, by=now - one.pods_at) for uid, pod in one.pods.items()}
    return pods.values()


def _aged(pod: PodReport, *, by: float) -> PodReport:
    unheard = pod.unheard_seconds
    return pod if unheard is None else pod.model_copy(update={"unheard_seconds": unheard + by})


def _rank(report: WorkerReport) -> tuple[bool, bool, float]:
    return (not report.connected, report.source != "stream", report.age_seconds)


def best_forecast(said: Iterable[Said]) -> Forecast | None:
    """One that says something beats one that cannot, and then whoever spoke last."""
    known = [(one.forecast.rate is not None, one.heard_at, one.forecast) for one in said if one.forecast is not None]
    return max(known, key=lambda one: one[:2])[2] if known else None
