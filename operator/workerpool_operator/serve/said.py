"""What collectors said of a pool, and which of two counts where they say different things."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from workerpool_operator.domain.scaling import Forecast
from workerpool_operator.protocol import Arrivals, PodReport, QueueSample, WorkerReport

RECENT_SECONDS: Final = 5.0
"""A reading that failed does not outweigh another collector's good one that is younger than this."""


@dataclass(slots=True)
class Said:
    """What one collector said of one pool, with the time of arrival of each part."""

    samples: dict[str, tuple[QueueSample, float]] = field(default_factory=dict)
    workers: dict[str, tuple[WorkerReport, float]] = field(default_factory=dict)
    pods: dict[str, PodReport] = field(default_factory=dict)
    pods_at: float = 0.0
    heard_at: float = 0.0
    forecast: Forecast | None = None

    def take_forecast(self, message: Arrivals) -> bool:
        """Take it in; whether it says anything else than before."""
        before, self.forecast = self.forecast, Forecast(rate=message.rate, error=message.error, why=message.why)
        return self.forecast != before


def freshest_samples(said: Iterable[Said], *, now: float) -> Iterator[QueueSample]:
    """Of each queue the reading that counts."""
    best: dict[str, QueueSample] = {}
    for one in said:
        for queue, (sample, arrived) in one.samples.items():
            aged = sample.model_copy(update={"age_seconds": sample.age_seconds + now - arrived})
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
        for uid, (report, arrived) in one.workers.items():
            aged = report.model_copy(update={"age_seconds": report.age_seconds + now - arrived})
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
