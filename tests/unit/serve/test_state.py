"""Readings are kept by freshness, orders by level."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from workerpool.protocol import Delivery, Share
from workerpool_operator.protocol import (
    Config,
    Fence,
    PodReport,
    PoolConfig,
    PoolSettings,
    QueueSample,
    Role,
    SampleError,
    Samples,
    WorkerReport,
    Workers,
)
from workerpool_operator.serve.state import Peer, StreamState

A = Peer(namespace="ns", pod="collector-a")
B = Peer(namespace="ns", pod="collector-b")
DELIVERY = Delivery(max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60)
SHARE = Share(id="7.1", per_second=4.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Link:
    def __init__(self) -> None:
        self.sent: list[BaseModel] = []

    def send(self, subject: str, message: BaseModel) -> None:
        assert subject
        self.sent.append(message)

    def of(self, kind: type[BaseModel]) -> list[Any]:
        return [message for message in self.sent if isinstance(message, kind)]


def state() -> tuple[StreamState, Clock, list[tuple[str, str]]]:
    clock, changes = Clock(), list[tuple[str, str]]()
    made = StreamState(on_change=lambda namespace, pool: changes.append((namespace, pool)), clock=clock)
    return made, clock, changes


def samples(waiting: int | None, *, age: float = 0.0, error: SampleError | None = None) -> Samples:
    sample = QueueSample(queue="main", age_seconds=age, waiting=waiting, in_flight=0, error=error)
    return Samples(pool="web", samples=(sample,))


def workers(*in_flight: int, fence: str = "", connected: bool = True, source: Any = "stream") -> Workers:
    reports = (
        WorkerReport(
            pod=f"p{i}", uid=f"u{i}", age_seconds=0.0, in_flight=n, fence=fence, connected=connected, source=source
        )
        for i, n in enumerate(in_flight)
    )
    return Workers(pool="web", workers=tuple(reports))


def test_a_pod_that_was_never_heard_is_told_once_and_ages_here() -> None:
    """Also while the collector says other things; one whose worker is heard has no such age."""
    streams, clock, _ = state()
    waits = PodReport(uid="u1", placed=False, ready=False, unheard_seconds=2.0)
    streams.receive(A, Workers(pool="web", workers=(), pods=(waits, PodReport(uid="u2", ready=False))))
    clock.now += 20
    streams.receive(A, samples(0))
    ages = {pod.uid: pod.unheard_seconds for pod in streams.view("ns", "web").pods}
    assert ages == {"u1": 22.0, "u2": None}


def test_ages_grow_by_the_receivers_clock() -> None:
    streams, clock, _ = state()
    streams.receive(A, samples(5, age=0.5))
    clock.now += 2.0
    assert streams.view("ns", "web").samples[0].age_seconds == 2.5


def test_only_a_reading_that_says_something_new_is_a_change() -> None:
    streams, _, changes = state()
    streams.receive(A, samples(5))
    streams.receive(A, samples(5))
    streams.receive(A, samples(6))
    assert changes == [("ns", "web")] * 2


def test_how_busy_workers_are_is_a_change_only_while_somebody_is_fenced() -> None:
    streams, _, changes = state()
    streams.set_role(leader=True, epoch=1)
    streams.receive(A, workers(1))
    streams.receive(A, workers(2))
    assert len(changes) == 1
    streams.fence("ns", "web", "1.1", ["u0"])
    streams.receive(A, workers(2))
    streams.receive(A, workers(3))
    assert len(changes) == 2


def test_an_answer_to_a_fence_is_a_change() -> None:
    streams, _, changes = state()
    streams.receive(A, workers(0))
    streams.receive(A, workers(0, fence="1.1"))
    assert len(changes) == 2


def test_of_two_collectors_the_good_and_fresh_reading_counts() -> None:
    streams, clock, _ = state()
    streams.receive(A, samples(5))
    clock.now += 1
    streams.receive(B, samples(None, error=SampleError.UNREACHABLE))
    assert streams.view("ns", "web").samples[0].waiting == 5
    clock.now += 10
    streams.receive(B, samples(None, error=SampleError.UNREACHABLE))
    assert streams.view("ns", "web").samples[0].error is SampleError.UNREACHABLE


def test_of_two_collectors_the_one_that_has_the_workers_stream_counts() -> None:
    streams, _, _ = state()
    streams.receive(A, workers(1, connected=False))
    streams.receive(B, workers(3))
    streams.receive(A, workers(1, connected=False))
    assert [worker.in_flight for worker in streams.view("ns", "web").workers] == [3]


def test_a_worker_that_is_not_in_the_newest_message_is_gone() -> None:
    streams, _, _ = state()
    streams.receive(A, workers(1, 1))
    streams.receive(A, workers(1))
    assert [worker.uid for worker in streams.view("ns", "web").workers] == ["u0"]


def test_whoever_connects_gets_every_order_that_holds() -> None:
    streams, _, _ = state()
    streams.set_role(leader=True, epoch=7)
    pool = PoolConfig(name="web", uid="x", queues=({"name": "main"},))
    streams.send_config("ns", (pool,))
    streams.settings("ns", "web", DELIVERY, {"u0": SHARE})
    streams.fence("ns", "web", "7.1", ["u0"])
    link = Link()
    streams.attach(A, link)
    assert link.of(Role) == [Role(leader=True, epoch=7)]
    assert link.of(Config) == [Config(epoch=7, pools=(pool,))]
    assert link.of(PoolSettings) == [PoolSettings(epoch=7, pool="web", delivery=DELIVERY, shares={"u0": SHARE})]
    assert link.of(Fence)[0].pods == ("u0",)


def test_another_share_of_one_worker_is_sent_and_the_same_ones_are_not() -> None:
    streams, _, _ = state()
    streams.set_role(leader=True, epoch=7)
    link = Link()
    streams.attach(A, link)
    for share in (SHARE, SHARE, SHARE.model_copy(update={"per_second": 2.0})):
        streams.settings("ns", "web", DELIVERY, {"u0": share})
    assert [message.shares["u0"].per_second for message in link.of(PoolSettings)] == [4.0, 2.0]


def test_a_worker_that_goes_by_another_share_is_news() -> None:
    """What it gave up is given to others."""
    streams, _, heard = state()
    [report] = workers(1).workers
    for share in (None, None, SHARE, SHARE):
        streams.receive(A, Workers(pool="web", workers=(replace(report, share=share),)))
    assert len(heard) == 2


def test_a_standby_gives_no_orders() -> None:
    streams, _, _ = state()
    link = Link()
    streams.attach(A, link)
    streams.send_config("ns", ())
    streams.fence("ns", "web", "0.1", ["u0"])
    assert link.sent == [Role(leader=False, epoch=0)]


def test_a_leader_that_is_replaced_forgets_its_orders() -> None:
    streams, _, _ = state()
    streams.set_role(leader=True, epoch=1)
    streams.fence("ns", "web", "1.1", ["u0"])
    streams.set_role(leader=False, epoch=2)
    streams.set_role(leader=True, epoch=3)
    link = Link()
    streams.attach(A, link)
    assert link.of(Fence) == []


def test_an_order_is_sent_once_and_a_fence_again_before_it_lapses_until_it_is_lifted() -> None:
    streams, _, _ = state()
    streams.set_role(leader=True, epoch=1)
    link = Link()
    streams.attach(A, link)
    streams.fence("ns", "web", "1.1", ["u0"])
    streams.fence("ns", "web", "1.1", ["u0"])
    assert len(link.of(Fence)) == 1
    streams.repeat_fences()
    assert len(link.of(Fence)) == 2
    streams.fence("ns", "web", "1.1", [])
    assert link.of(Fence)[-1].pods == ()
    streams.repeat_fences()
    assert len(link.of(Fence)) == 3


def test_a_fence_of_the_leader_before_is_lifted() -> None:
    streams, _, _ = state()
    streams.set_role(leader=True, epoch=2)
    link = Link()
    streams.attach(A, link)
    streams.fence("ns", "web", "2.0", [])
    assert [(order.epoch, order.pods) for order in link.of(Fence)] == [(2, ())]
    streams.repeat_fences()
    assert len(link.of(Fence)) == 1


def test_losing_the_last_collector_is_a_change_for_all_its_pools() -> None:
    streams, _, changes = state()
    link, second = Link(), Link()
    streams.attach(A, link)
    streams.receive(A, samples(5))
    changes.clear()
    streams.attach(A, second)
    streams.detach(A, link)
    assert (changes, streams.view("ns", "web").collectors_connected) == ([], 1)
    streams.detach(A, second)
    assert changes == [("ns", "web")]
    assert streams.view("ns", "web").collectors_connected == 0


def test_a_collector_speaks_for_its_own_namespace_only() -> None:
    streams, _, _ = state()
    streams.receive(Peer(namespace="other", pod="x"), samples(9))
    assert streams.view("ns", "web").samples == ()


def test_a_pool_that_is_gone_leaves_nothing() -> None:
    streams, _, _ = state()
    streams.set_role(leader=True, epoch=1)
    streams.receive(A, samples(5))
    streams.fence("ns", "web", "1.1", ["u0"])
    streams.forget("ns", "web")
    assert streams.view("ns", "web").samples == ()
    link = Link()
    streams.attach(B, link)
    assert link.of(Fence) == []


def test_of_two_collectors_the_one_that_spoke_last_says_how_a_pod_is() -> None:
    made, clock, _ = state()
    made.receive(A, Workers(pool="web", workers=(), pods=(PodReport(uid="u", crashes=1), PodReport(uid="v"))))
    clock.now += 1
    made.receive(B, Workers(pool="web", workers=(), pods=(PodReport(uid="u", crashes=2),)))
    assert {pod.uid: pod.crashes for pod in made.view("ns", "web").pods} == {"u": 2, "v": 0}
    made.receive(A, Workers(pool="web", workers=()))
    assert [pod.uid for pod in made.view("ns", "web").pods] == ["u"]
