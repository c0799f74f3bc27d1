"""What a queue in Kafka may be, and what is refused of it: field and words."""

from typing import Any, Final

_URL_WORDS: Final = "write the url as kafka://HOST:PORT,HOST:PORT with ports from 1 to 65535; the only option is"
_CA: Final = {"caRef": {"name": "ca"}}


def kafka(url: str = "kafka://kafka:9092", *, topic: str = "jobs", **more: Any) -> dict[str, Any]:
    """One queue."""
    return {"queues": [{"name": "main", "kafka": {"url": url, "topic": topic, "group": "g"}, **more}]}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "kafka": kafka(),
    "kafka with TLS, several servers and a way to log in": kafka(
        "kafka+ssl://kafka-0.media.svc:9093,kafka-1:9093,[::1]:9093?sasl=SCRAM-SHA-512", tls=_CA
    ),
    "shedding on kafka": kafka() | {"delivery": {"shedAfterSeconds": {"low": 60}, "tenantLimits": {}}},
    "a limit that workers on kafka keep by shares": kafka() | {"delivery": {"rateLimitPerSecond": "0.5"}},
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "kafka url of another kind": (
        kafka("http://kafka:9092"),
        "spec.queues[0].kafka.url",
        "the url must start with kafka:// or kafka+ssl://, such as kafka://kafka:9092",
    ),
    "kafka url with a topic": (kafka("kafka://kafka:9092/jobs"), "spec.queues[0].kafka.url", _URL_WORDS),
    "kafka url with a server too few": (kafka("kafka://a:9092,"), "spec.queues[0].kafka.url", _URL_WORDS),
    "kafka url with another way to log in": (kafka("kafka://a?sasl=GSSAPI"), "spec.queues[0].kafka.url", _URL_WORDS),
    "kafka url with a password": (
        kafka("kafka://me:hunter2@kafka"),
        "spec.queues[0].kafka.url",
        "leave user and password out of the url: put them into a Secret and name it in credentials",
    ),
    "kafka topic with a slash": (
        kafka(topic="a/b"),
        "spec.queues[0].kafka.topic",
        "write it in a-z, A-Z, 0-9, '.', '-' and '_'",
    ),
    "kafka tls on a plain connection": (
        kafka(tls=_CA),
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as kafka+ssl://, or leave tls out",
    ),
    "limits of tenants that kafka cannot keep": (
        kafka() | {"delivery": {"rateLimitPerSecond": 5, "tenantLimits": {"*": {"ratePerSecond": 1}}}},
        "spec.delivery.tenantLimits",
        "cannot be kept by every broker: leave it out, or use no queue of natsJetStream or rabbitmq or kafka",
    ),
}
