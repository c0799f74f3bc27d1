"""What a Kafka URL may look like."""

import pytest

from workerpool import broker as brokers
from workerpool.broker._kafka.address import KafkaAddress
from workerpool.errors import ConfigurationError


def test_several_servers_with_and_without_a_port() -> None:
    address = KafkaAddress.parse("kafka://a,b:1234,[::1]:9093")
    assert address.hosts == ("a:9092", "b:1234", "[::1]:9093")
    assert (address.tls, address.sasl, address.username) == (False, "PLAIN", None)


def test_tls_a_user_and_the_way_to_log_in() -> None:
    address = KafkaAddress.parse("kafka+ssl://me:p%40ss@a,b?sasl=SCRAM-SHA-512")
    assert address.hosts == ("a:9092", "b:9092")
    assert (address.tls, address.sasl, address.username, address.password) == (True, "SCRAM-SHA-512", "me", "p@ss")
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "kafka://",
        "kafka://a,,b",
        "kafka://a:port",
        "kafka://u:secret@a/topic",
        "kafka://u:secret@a?sasl=GSSAPI",
        "kafka://u:secret@a?x=1",
        "kafka://u:secret@a#x",
    ],
)
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="looks like kafka://host:9092") as caught:
        brokers.connect(url, stream="jobs")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("topic", ["", "a b", "a/b", "x" * 116])
def test_a_name_that_kafka_would_refuse_is_refused(topic: str) -> None:
    with pytest.raises(ConfigurationError, match="115"):
        brokers.connect("kafka://a", stream=topic)
