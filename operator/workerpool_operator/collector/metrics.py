"""The collector's metrics. Series of a queue exist from when its pool is known, zero-filled, and go with the pool."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from workerpool_operator.collector.board import Board
from workerpool_operator.protocol import QueueSample

MOST_PARTITIONS: Final = 100
"""Partitions of a queue that have a series of their own. A topic may have thousands."""
OTHER: Final = "other"
_QUEUE: Final = ("pool", "queue")


class CollectorMetrics(Collector):
    """Turns the board into samples when Prometheus asks."""

    def __init__(self, board: Board, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._board = board
        self._clock = clock
        self._polls: dict[tuple[str, str], float] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._lags: dict[tuple[str, str], Mapping[str, int]] = {}
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def polled(
        self, pool: str, queue: str, *, seconds: float, error: str, lag: Mapping[int, int] | None = None
    ) -> None:
        """A poll ended; `error` is why it failed, or empty. `lag`: by partition, of a queue that has such."""
        if (pool, queue) not in self._polls:
            self._forget_removed()
        self._lags[pool, queue] = _bounded(lag or {})
        self._polls[pool, queue] = seconds
        self._errors[pool, queue] = self._errors.get((pool, queue), 0) + (1 if error else 0)

    def describe(self) -> Iterable[Metric]:
        """None: the families are made when they are asked for."""
        return ()

    def _forget_removed(self) -> None:
        """A namespace in which pools come and go all the time must not make the collector grow."""
        configured = set(self._queues())
        for gone in self._polls.keys() - configured:
            del self._polls[gone], self._errors[gone], self._lags[gone]

    def _queues(self) -> list[tuple[str, str]]:
        return [(pool, queue["name"]) for pool, known in self._board.pools.items() for queue in known.config.queues]

    def collect(self) -> Iterator[Metric]:
        """The families with the samples of this moment."""
        queues = self._queues()
        samples = {key: self._sample(*key) for key in queues}
        for name, help_text, field in _GAUGES:
            yield self._gauge(name, help_text, {key: getattr(one, field) for key, (one, _) in samples.items() if one})
        yield self._lag(queues)
        counter = CounterMetricFamily("queue_arrivals", "Jobs that became due in the queue, ever.", labels=_QUEUE)
        errors = CounterMetricFamily("collector_poll_errors", "Readings of the queue that failed.", labels=_QUEUE)
        for key, (one, _) in samples.items():
            counter.add_metric(key, (one.arrivals_total if one else 0) or 0)
            errors.add_metric(key, self._errors.get(key, 0))
        yield counter
        yield errors
        yield self._gauge("collector_poll_seconds", "How long the latest reading took.", self._of(queues, self._polls))
        yield self._gauge(
            "collector_sample_age_seconds",
            "Age of the latest reading that says what the operator was told.",
            {key: self._clock() - at for key, (one, at) in samples.items() if one},
        )
        expected = GaugeMetricFamily(
            "pool_workers_expected",
            "Worker pods that became ready over 30 s ago and are not being deleted, whether or not they are ready now.",
            labels=["pool"],
        )
        for pool in self._board.pools:
            expected.add_metric([pool], self._board.expected_workers(pool))
        yield expected
        interrupted = CounterMetricFamily(
            "workerpool_jobs_interrupted",
            "Jobs that workers cancelled and handed back because they had to go before these had ended, as they said "
            "last. Who was killed says nothing: what it held is in jobs_redelivered_total.",
            labels=["pool"],
        )
        for pool, known in self._board.pools.items():
            interrupted.add_metric([pool], known.interrupted)
        yield interrupted

    def _lag(self, queues: Iterable[tuple[str, str]]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "queue_consumer_lag",
            "Kafka: entries of the queue's topic from the first job that is not done to the end, by partition; those "
            f"from {MOST_PARTITIONS} on are one, `{OTHER}`.",
            labels=[*_QUEUE, "partition"],
        )
        for key in queues:
            for partition, entries in self._lags.get(key, {}).items():
                family.add_metric([*key, partition], entries)
        return family

    def _sample(self, pool: str, queue: str) -> tuple[QueueSample | None, float]:
        return self._board.pools[pool].samples.get(queue, (None, 0.0))

    @staticmethod
    def _of(queues: Iterable[tuple[str, str]], values: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
        return {key: values.get(key, 0.0) for key in queues}

    @staticmethod
    def _gauge(name: str, help_text: str, values: Mapping[tuple[str, str], float | None]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, help_text, labels=_QUEUE)
        for key, value in values.items():
            if value is not None:
                family.add_metric(key, value)
        return family


def _bounded(lag: Mapping[int, int]) -> dict[str, int]:
    """By partition. The sum over all stays what it is."""
    told = {str(number): entries for number, entries in sorted(lag.items()) if number < MOST_PARTITIONS}
    others = [entries for number, entries in lag.items() if number >= MOST_PARTITIONS]
    return told | ({OTHER: sum(others)} if others else {})


_GAUGES: Final = (
    ("queue_depth", "Jobs that wait in the queue, delayed ones that are due included.", "waiting"),
    ("queue_in_flight", "Jobs that workers have taken and not finished.", "in_flight"),
    ("queue_oldest_age_seconds", "How long the oldest waiting job has waited.", "oldest_age_seconds"),
    ("queue_dead_letters", "Jobs in the queue's dead letters.", "dead_letters"),
)
