"""What a queue in RabbitMQ may be, and what is refused of it: field and words."""

from typing import Any, Final

_URL_WORDS: Final = "write the url as amqp://HOST:PORT/VHOST with a port from 1 to 65535"
_CA: Final = {"caRef": {"name": "ca"}}


def rabbitmq(url: str = "amqp://rabbitmq:5672", **more: Any) -> dict[str, Any]:
    """One queue."""
    return {"queues": [{"name": "main", "rabbitmq": {"url": url, "queue": "jobs"}, **more}]}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "rabbitmq": rabbitmq(),
    "rabbitmq with TLS and a vhost": rabbitmq("amqps://rabbitmq.media.svc:5671/a%2Fb", tls=_CA),
    "shedding on rabbitmq": rabbitmq() | {"delivery": {"shedAfterSeconds": {"low": 60}, "tenantLimits": {}}},
    "a limit that workers on rabbitmq keep by shares": rabbitmq() | {"delivery": {"rateLimitPerSecond": 5}},
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "rabbitmq url of another kind": (
        rabbitmq("http://rabbitmq:15672"),
        "spec.queues[0].rabbitmq.url",
        "the url must start with amqp:// or amqps://, such as amqp://rabbitmq:5672/jobs",
    ),
    "rabbitmq url with options": (
        rabbitmq("amqp://rabbitmq/jobs?heartbeat=1"),
        "spec.queues[0].rabbitmq.url",
        _URL_WORDS,
    ),
    "rabbitmq url with two parts behind the host": (
        rabbitmq("amqp://rabbitmq/a/b"),
        "spec.queues[0].rabbitmq.url",
        _URL_WORDS,
    ),
    "rabbitmq url with a password": (
        rabbitmq("amqp://me:hunter2@rabbitmq"),
        "spec.queues[0].rabbitmq.url",
        "leave user and password out of the url: put them into a Secret and name it in credentials",
    ),
    "rabbitmq tls on a plain connection": (
        rabbitmq(tls=_CA),
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as amqps://, or leave tls out",
    ),
    "limits of tenants that rabbitmq cannot keep": (
        rabbitmq() | {"delivery": {"tenantLimits": {"*": {"maxInFlight": 1}}}},
        "spec.delivery.tenantLimits",
        "delivery.tenantLimits cannot be kept by every broker: leave it out, or use no queue of natsJetStream",
    ),
}
