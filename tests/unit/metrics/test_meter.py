"""Worker-seconds add up between looks at a pool, whoever looks when."""

from dataclasses import dataclass

from workerpool_operator.domain.usage import Usage
from workerpool_operator.metrics import PoolMetrics, PoolSeries, Prices, VersionRole
from workerpool_operator.metrics.meter import Meter

LABELS = {"namespace": "media", "pool": "thumbs"}


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_seconds_go_on_between_two_looks_and_with_every_change() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.feed([Usage(version="a", workers=4, idle=1.5)], versions=["a"])
    assert meter.seconds() == {"a": (0.0, 0.0)}
    clock.now += 10
    assert meter.seconds() == {"a": (40.0, 15.0)}
    meter.feed([Usage(version="a", workers=1, idle=0.0), Usage(version="b", workers=2, idle=2.0)], versions=["a", "b"])
    clock.now += 5
    assert meter.seconds() == {"a": (45.0, 15.0), "b": (10.0, 10.0)}


def test_a_version_without_workers_keeps_what_it_has_and_one_that_is_gone_is_forgotten() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.feed([Usage(version="a", workers=1, idle=0.0)], versions=["a"])
    clock.now += 10
    meter.feed([], versions=["a"])
    clock.now += 10
    assert meter.seconds() == {"a": (10.0, 0.0)}
    meter.feed([Usage(version="a", workers=1, idle=0.0)], versions=["a"])
    clock.now += 1
    assert meter.seconds() == {"a": (11.0, 0.0)}
    meter.feed([], versions=["b"])
    assert meter.seconds() == {"b": (0.0, 0.0)}


def test_a_pool_exports_them_beside_its_price() -> None:
    clock = Clock()
    metrics = PoolMetrics(Prices(currency="EUR", worker_hour=0.04, pools={"media/gpu": 2.5}), clock=clock)
    roles = (VersionRole("a", "stable"),)
    for pool in ("thumbs", "gpu"):
        used = (Usage(version="a", workers=3, idle=1.0),)
        metrics.show("media", pool, PoolSeries(desired=3, replicas=3, mode="direct", versions=roles, usage=used))
    clock.now += 20
    found = {
        (sample.name, sample.labels["pool"]): (sample.value, sample.labels.get("currency"))
        for family in metrics.collect()
        for sample in family.samples
        if "worker_" in sample.name
    }
    assert found == {
        ("workerpool_worker_seconds_total", "thumbs"): (60.0, None),
        ("workerpool_worker_seconds_total", "gpu"): (60.0, None),
        ("workerpool_worker_idle_seconds_total", "thumbs"): (20.0, None),
        ("workerpool_worker_idle_seconds_total", "gpu"): (20.0, None),
        ("workerpool_worker_hour_price", "thumbs"): (0.04, "EUR"),
        ("workerpool_worker_hour_price", "gpu"): (2.5, "EUR"),
    }


def test_without_a_price_there_is_none() -> None:
    metrics = PoolMetrics(Prices())
    metrics.show("media", "thumbs", PoolSeries(desired=3, replicas=3, mode="direct"))
    assert not [
        s for family in metrics.collect() if family.name == "workerpool_worker_hour_price" for s in family.samples
    ]
