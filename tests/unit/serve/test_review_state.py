"""Orders belong to a term; what is kept belongs to namespaces that are there."""

from pydantic import BaseModel

from workerpool.protocol import Delivery
from workerpool_operator.protocol import Config, Fence, PoolConfig, PoolSettings, QueueSample, Samples
from workerpool_operator.serve.state import Peer, StreamState

A = Peer(namespace="ns", pod="collector-a")
DELIVERY = Delivery(max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60)
READING = Samples(pool="web", samples=(QueueSample(queue="main", age_seconds=0.0, waiting=1, in_flight=0),))


class Link:
    def __init__(self) -> None:
        self.sent: list[BaseModel] = []

    def send(self, subject: str, message: BaseModel) -> None:
        assert subject
        self.sent.append(message)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_order_given_after_the_term_has_ended_is_not_carried_into_the_next() -> None:
    """A reconcile that was under way gives it; held, its fence would be repeated for ever, and nobody would lift it."""
    streams = StreamState(on_change=lambda *_: None)
    streams.set_role(leader=True, epoch=1)
    streams.set_role(leader=False, epoch=1)
    streams.fence("ns", "web", "1.1", ["u"])
    streams.send_config("ns", (PoolConfig(name="web", uid="1", queues=()),))
    streams.settings("ns", "web", DELIVERY, {})
    streams.set_role(leader=True, epoch=3)
    link = Link()
    streams.attach(A, link)
    streams.repeat_fences()
    assert not [message for message in link.sent if isinstance(message, Fence | Config | PoolSettings)]


def test_a_namespace_whose_pools_and_collectors_are_gone_is_forgotten() -> None:
    """On every replica: a standby is never told that a pool is gone."""
    clock = Clock()
    streams = StreamState(on_change=lambda *_: None, clock=clock)
    for number in range(100):
        peer, link = Peer(namespace=f"ns-{number}", pod="collector"), Link()
        streams.attach(peer, link)
        streams.receive(peer, READING)
        streams.detach(peer, link)
    clock.now += 120.0
    streams.tidy()
    assert not streams._namespaces


def test_a_namespace_that_has_orders_or_a_collector_is_kept() -> None:
    clock = Clock()
    streams = StreamState(on_change=lambda *_: None, clock=clock)
    streams.set_role(leader=True, epoch=1)
    streams.send_config("ordered", (PoolConfig(name="web", uid="1", queues=()),))
    streams.attach(A, Link())
    streams.receive(A, READING)
    streams.receive(A, READING.model_copy(update={"pool": "gone"}))
    clock.now += 120.0
    streams.receive(A, READING)
    streams.tidy()
    assert streams.view("ns", "web").samples
    assert not streams.view("ns", "gone").samples
    link = Link()
    streams.attach(Peer(namespace="ordered", pod="c"), link)
    assert [message for message in link.sent if isinstance(message, Config)]
