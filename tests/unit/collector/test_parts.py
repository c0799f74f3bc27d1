"""The collector's parts, one at a time."""

from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from workerpool.protocol import Delivery, Share
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.config import CollectorConfig, ConfigError
from workerpool_operator.collector.metrics import MOST_PARTITIONS, CollectorMetrics
from workerpool_operator.collector.scrape import parse
from workerpool_operator.domain.scaling.scale_in import ScaleInMemory
from workerpool_operator.protocol import LEAVING_FENCE, PoolConfig, QueueSample


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def board() -> tuple[Board, Clock, list[tuple[str, str]]]:
    clock, announced = Clock(), list[tuple[str, str]]()
    made = Board(announce=lambda what, pool, **_: announced.append((what, pool)), clock=clock)
    made.configure((PoolConfig(name="web", uid="1", queues=({"name": "main"},)),))
    return made, clock, announced


def worker(uid: str = "u") -> WorkerState:
    return WorkerState(pod="p", uid=uid, version="v", source="stream", heard_at=100.0, connected=True)


def pod(uid: str = "u") -> PodInfo:
    return PodInfo(
        name="p", uid=uid, pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
    )


def test_a_fence_lapses_for_the_worker_when_the_operator_no_longer_repeats_it() -> None:
    known, clock, _ = board()
    assert known.order_fence("web", "1.1", frozenset({"u"}), ttl=30)
    assert not known.order_fence("web", "1.1", frozenset({"u"}), ttl=30)
    clock.now += 25
    assert known.settings_for("web", "u", ttl=30).fence == "1.1"
    assert known.settings_for("web", "u", ttl=30).ttl_seconds == 5
    clock.now += 6
    assert known.settings_for("web", "u", ttl=30).fence == ""


def test_only_the_pods_named_are_fenced_and_all_hear_the_delivery_rules() -> None:
    known, _, _ = board()
    delivery = Delivery(max_attempts=3, backoff_seconds=1, backoff_max_seconds=2, lease_seconds=9)
    known.order_delivery("web", delivery)
    known.order_fence("web", "1.1", frozenset({"u"}), ttl=30)
    other = known.settings_for("web", "other", ttl=30)
    assert (other.fence, other.delivery) == ("", delivery)


def test_each_worker_hears_of_its_own_share_and_only_those_with_another_one_are_told() -> None:
    known, _, _ = board()
    one, other = Share(id="1.1", per_second=4.0), Share(id="1.2", per_second=6.0)
    assert known.order_shares("web", {"u": one, "v": one}) == {"u", "v"}
    assert known.order_shares("web", {"u": one, "v": other}) == {"v"}
    assert known.order_shares("a pool that is gone", {"u": one}) == set()
    assert [known.settings_for("web", uid, ttl=30).share for uid in ("u", "v", "w")] == [one, other, None]


def test_a_worker_whose_pod_is_being_deleted_takes_nothing_more() -> None:
    """Whoever deletes it. Its SIGTERM may never reach it."""
    known, _, _ = board()
    known.pod_seen(pod())
    assert known.settings_for("web", "u", ttl=30).fence == ""
    known.pod_seen(replace(pod(), terminating=True))
    told = known.settings_for("web", "u", ttl=30)
    assert (told.fence, told.ttl_seconds) == (LEAVING_FENCE, 30)
    assert known.settings_for("a pool that is gone", "u", ttl=30).fence == LEAVING_FENCE
    assert known.settings_for("web", "other", ttl=30).fence == ""


def test_the_news_of_a_deletion_is_told_once() -> None:
    known, _, _ = board()
    assert [known.pod_seen(replace(pod(), terminating=gone)) for gone in (False, False, True, True)] == [
        False,
        False,
        True,
        False,
    ]
    assert known.pod_seen(replace(pod("first seen so"), terminating=True))


def test_a_worker_that_leaves_answers_the_operator_s_fence_while_that_holds_and_is_never_released() -> None:
    known, clock, _ = board()
    known.pod_seen(replace(pod(), terminating=True))
    known.order_fence("web", "1.1", frozenset({"u"}), ttl=30)
    clock.now += 25
    told = known.settings_for("web", "u", ttl=30)
    assert (told.fence, told.ttl_seconds) == ("1.1", 30), "the worker would be free between two repeats"
    clock.now += 6
    assert known.settings_for("web", "u", ttl=30).fence == LEAVING_FENCE
    known.order_fence("web", "1.2", frozenset(), ttl=30)
    assert known.settings_for("web", "u", ttl=30).fence == LEAVING_FENCE


def test_the_collector_s_own_fence_is_none_of_the_operator_s() -> None:
    assert "." in ScaleInMemory(epoch=1).fence_id
    assert "." not in LEAVING_FENCE


def test_a_worker_goes_with_its_pod() -> None:
    known, _, announced = board()
    known.pod_seen(pod())
    known.heard("web", worker())
    announced.clear()
    known.pod_gone("u")
    message = known.workers_message("web")
    assert message is not None
    assert message.workers == ()
    assert announced == [("workers", "web")]


def test_a_pool_made_anew_under_its_old_name_starts_from_nothing() -> None:
    known, _, _ = board()
    known.sampled("web", QueueSample(queue="main", age_seconds=0, waiting=1, in_flight=0))
    known.configure((PoolConfig(name="web", uid="2", queues=({"name": "main"},)),))
    assert known.samples_message("web") is None


def test_a_queue_taken_out_of_the_pool_is_forgotten() -> None:
    known, _, _ = board()
    known.sampled("web", QueueSample(queue="main", age_seconds=0, waiting=1, in_flight=0))
    known.configure((PoolConfig(name="web", uid="1", queues=({"name": "new"},)),))
    assert known.samples_message("web") is None


def test_metrics_of_a_bare_worker_make_a_report() -> None:
    report = parse(
        "# HELP worker_jobs_in_progress x\n"
        'worker_jobs_in_progress{pool="web",lane="io"} 2\n'
        'worker_jobs_in_progress{pool="web",lane="cpu"} 1.0\n'
        "worker_slots 8\n"
        'jobs_started_total{pool="web"} 10 1700000000\n'
        'job_processing_seconds_sum{pool="web",lane="io"} 2.5\n'
        'job_processing_seconds_sum{pool="web",lane="cpu"} 1.5\n'
        "worker_cpu_percent 150\n"
        'jobs_first_slow_total{pool="web",lane="io"} 3\n'
        'jobs_first_late_total{pool="web",lane="io"} 2\n'
    )
    assert report.counters.first_late == 2
    assert report.counters.first_slow == 3
    assert (report.counters.run_seconds, report.cpu_cores) == (4.0, 1.5)
    assert (report.in_flight, report.slots, report.counters.started) == (3, 8, 10)
    assert report.remaining_seconds is None


def test_a_worker_need_not_say_how_long_jobs_take_nor_what_cpu_it_uses() -> None:
    report = parse("worker_jobs_in_progress 2\n")
    assert (report.counters.run_seconds, report.counters.first_slow, report.cpu_cores) == (None, None, None)


@pytest.mark.parametrize("text", ["", "nonsense", "worker_jobs_in_progress NaNsense"])
def test_metrics_that_do_not_say_what_runs_are_no_report(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="OPERATOR_STREAM"):
        CollectorConfig.from_environment({})


def test_a_pool_that_went_and_came_back_starts_without_the_old_ones_errors() -> None:
    """What is remembered goes with the pools: a namespace where they come and go must not make the collector grow."""
    known, _, _ = board()
    metrics = CollectorMetrics(known)
    for name, error in (("web", "Unreachable"), ("other", ""), ("web", "")):
        known.configure((PoolConfig(name=name, uid=name, queues=({"name": "main"},)),))
        metrics.polled(name, "main", seconds=0.1, error=error)
    text = generate_latest(metrics.registry).decode()
    assert 'collector_poll_errors_total{pool="web",queue="main"} 0.0' in text


def lags(metrics: CollectorMetrics) -> dict[str, float]:
    families = [one for one in metrics.collect() if one.name == "queue_consumer_lag"]
    return {sample.labels["partition"]: sample.value for family in families for sample in family.samples}


def test_a_topic_of_thousands_of_partitions_has_a_hundred_series_and_one_for_the_rest() -> None:
    """And their sum is the lag of the group still."""
    known, _, _ = board()
    known.configure((PoolConfig(name="web", uid="web", queues=({"name": "main"},)),))
    metrics = CollectorMetrics(known)
    lag = {partition: partition % 7 for partition in reversed(range(5000))}
    metrics.polled("web", "main", seconds=0.1, error="", lag=lag)
    found = lags(metrics)
    assert len(found) == MOST_PARTITIONS + 1
    assert (found["0"], found["99"], found["other"]) == (0, 1, sum(lag.values()) - sum(lag[n] for n in range(100)))
    metrics.polled("web", "main", seconds=0.1, error="", lag={0: 0, 99: 3})
    assert lags(metrics) == {"0": 0, "99": 3}, "no partition is made up, and one that went is gone"


@pytest.mark.parametrize("then", ["unreadable", "of another kind", "removed"])
def test_what_is_not_known_of_partitions_is_not_told(then: str) -> None:
    """A lag of long ago would look like one of now."""
    known, _, _ = board()
    known.configure((PoolConfig(name="web", uid="web", queues=({"name": "main"},)),))
    metrics = CollectorMetrics(known)
    metrics.polled("web", "main", seconds=0.1, error="", lag={0: 5})
    assert lags(metrics) == {"0": 5}
    match then:
        case "unreadable":
            metrics.polled("web", "main", seconds=3.0, error="Unreachable", lag=None)
        case "of another kind":
            metrics.polled("web", "main", seconds=0.1, error="", lag=None)
        case "removed":
            known.configure(())
    assert lags(metrics) == {}
