"""RabbitMQ's addresses, where delayed jobs wait, and what refusals mean."""

import sys

import pytest
from pamqp import commands

from workerpool import ConfigurationError
from workerpool import broker as brokers
from workerpool.broker._rabbitmq.address import RabbitAddress
from workerpool.broker._rabbitmq.held import Held
from workerpool.broker._rabbitmq.link import refused
from workerpool.broker._rabbitmq.messages import Delivery, RefusedError
from workerpool.broker._rabbitmq.queues import Queues
from workerpool.errors import AuthenticationFailed, BadAnswer, BrokerError, BrokerUnavailable, QueueNotFound


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("amqp://r", RabbitAddress("r", 5672)),
        ("amqp://r/", RabbitAddress("r", 5672, "/")),
        ("amqps://r", RabbitAddress("r", 5671, tls=True)),
        (
            "amqp://a%40b:c%2Fd@[fd00::1]:1234/x%2Fy",
            RabbitAddress("fd00::1", 1234, "x/y", username="a@b", password="c/d"),
        ),
    ],
)
def test_a_url_is_read_with_what_it_leaves_out(url: str, address: RabbitAddress) -> None:
    assert RabbitAddress.parse(url) == address
    assert "c/d" not in repr(address)


@pytest.mark.parametrize(
    ("seconds", "queue", "wait"),
    [
        (0.0001, "q.delay.250", 1),
        (0.4, "q.delay.250", 400),
        (0.5, "q.delay.500", 500),
        (0.999, "q.delay.500", 999),
        (60.0, "q.delay.32000", 60_000),
        (86_400.0, "q.delay.65536000", 86_400_000),
    ],
)
def test_a_delay_waits_with_those_of_its_power_of_two(seconds: float, queue: str, wait: int) -> None:
    assert Queues("q").delayed_by(seconds) == (queue, wait)


def test_a_delay_that_rabbitmq_cannot_say_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="49 days"):
        Queues("q").delayed_by(50 * 86_400)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (403, "ACCESS_REFUSED - Login was refused", AuthenticationFailed),
        (530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u'", AuthenticationFailed),
        (530, "NOT_ALLOWED - vhost v not found", QueueNotFound),
        (530, "NOT_ALLOWED - connection limit (1) is reached", BrokerUnavailable),
        (404, "NOT_FOUND - no queue 'q'", QueueNotFound),
        (406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type'", QueueNotFound),
        (406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", BrokerUnavailable),
        (503, "COMMAND_INVALID", BadAnswer),
        (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", BrokerUnavailable),
        (541, "INTERNAL_ERROR", BrokerUnavailable),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(code: int, text: str, kind: type[BrokerError]) -> None:
    error = refused(RefusedError(code, text), where="r:5672")
    assert type(error) is kind
    assert text in str(error)


def held(*tags: int) -> tuple[Held, list[str]]:
    one = Held()
    one.begin()
    return one, [
        one.add(Delivery("c", tag, redelivered=False, properties=commands.Basic.Properties(), body=b"")) for tag in tags
    ]


def test_what_comes_before_all_that_stays_is_acknowledged_in_one_frame() -> None:
    jobs, tokens = held(1, 2, 3, 4, 5)
    frames = jobs.forget([tokens[1], tokens[0], tokens[3]])
    assert [(frame.delivery_tag, frame.multiple) for frame in frames if isinstance(frame, commands.Basic.Ack)] == [
        (2, True),
        (4, False),
    ]
    assert [token for token in tokens if token in jobs] == [tokens[2], tokens[4]]


def test_a_consumer_is_cancelled_before_its_job_is_settled() -> None:
    """Else the next one would come; what came by a get has none."""
    jobs, [first, *_] = held(1, 2)
    got = jobs.add(Delivery("", 3, redelivered=False, properties=commands.Basic.Properties(), body=b""))
    frames = jobs.forget([first, got])
    assert [type(frame) for frame in frames] == [commands.Basic.Cancel, commands.Basic.Ack, commands.Basic.Ack]
    frames = jobs.give_back_of("c")
    assert [type(frame) for frame in frames] == [commands.Basic.Cancel, commands.Basic.Nack]
    assert jobs.give_back_of("c") == []


def test_nothing_is_ours_any_more_when_the_connection_is_another() -> None:
    jobs, tokens = held(1)
    jobs.begin()
    assert jobs.forget(tokens) == []
    assert jobs.add(Delivery("c", 1, redelivered=False, properties=commands.Basic.Properties(), body=b"")) not in tokens


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("workerpool.broker._rabbitmq")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pamqp", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'workerpool\[rabbitmq\]'"):
        brokers.connect("amqp://r", stream="q")
