"""From a URL to a broker.

`KINDS` is the table of what there is: a new kind of broker is one entry, and a function that imports it when it is
asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from workerpool.broker._credentials import Credentials
from workerpool.broker._protocol import Broker
from workerpool.errors import ConfigurationError

if TYPE_CHECKING:
    from workerpool.broker._memory_store import MemoryStore


class Given(NamedTuple):
    """The arguments of `connect` beside the URL."""

    stream: str
    group: str
    credentials: Credentials
    timeout: float
    consumer: str
    lease_seconds: float
    store: "MemoryStore | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of broker."""

    system: str
    """As traces name it."""
    open: Callable[[str, Given], Broker]
    """Makes one from a URL; imports what it needs, and raises ConfigurationError for what is wrong."""
    named_by: str = ""
    """`QUEUE_<NAME>_<this>` names the queue in the broker; empty: the URL says it all."""
    named_words: str = ""
    """What to write there."""
    local: bool = False
    """No other machine can reach it."""
    extra: str = ""
    """The optional extra of this package that it needs."""


def _memory(_: str, given: Given) -> Broker:
    from workerpool.broker._memory import MemoryBroker  # noqa: PLC0415  few use it, all would load it
    from workerpool.broker._memory_store import MemoryStore  # noqa: PLC0415

    return MemoryBroker(given.store or MemoryStore(), lease_seconds=given.lease_seconds)


def _sqlite(url: str, given: Given) -> Broker:
    from workerpool.broker._sqlite import SqliteBroker  # noqa: PLC0415  few use it, all would load it

    return SqliteBroker(url, consumer=given.consumer, lease_seconds=given.lease_seconds, timeout=given.timeout)


def _redis(url: str, given: Given) -> Broker:
    from workerpool.broker._redis import RedisAddress, RedisBroker  # noqa: PLC0415  redis is an optional extra

    return RedisBroker(
        RedisAddress.parse(url),
        stream=given.stream,
        group=given.group or given.stream,
        credentials=given.credentials,
        timeout=given.timeout,
        consumer=given.consumer,
        lease_seconds=given.lease_seconds,
    )


def _rabbitmq(url: str, given: Given) -> Broker:
    from workerpool.broker._rabbitmq import RabbitAddress, RabbitBroker  # noqa: PLC0415  pamqp is an optional extra

    return RabbitBroker(
        RabbitAddress.parse(url),
        queue=given.stream,
        credentials=given.credentials,
        timeout=given.timeout,
        consumer=given.consumer,
        lease_seconds=given.lease_seconds,
    )


def _nats(url: str, given: Given) -> Broker:
    from workerpool.broker._nats import NatsAddress, NatsBroker  # noqa: PLC0415  nats-py is an optional extra

    return NatsBroker(
        NatsAddress.parse(url),
        stream=given.stream,
        group=given.group or given.stream,
        credentials=given.credentials,
        timeout=given.timeout,
        consumer=given.consumer,
        lease_seconds=given.lease_seconds,
    )


def _kafka(url: str, given: Given) -> Broker:
    from workerpool.broker._kafka import KafkaAddress, KafkaBroker  # noqa: PLC0415  aiokafka is an optional extra

    return KafkaBroker(
        KafkaAddress.parse(url),
        topic=given.stream,
        group=given.group or given.stream,
        credentials=given.credentials,
        timeout=given.timeout,
        consumer=given.consumer,
        lease_seconds=given.lease_seconds,
    )


def _postgres(url: str, given: Given) -> Broker:
    from workerpool.broker._postgres import PostgresAddress, PostgresBroker  # noqa: PLC0415  as above

    return PostgresBroker(
        PostgresAddress.parse(url),
        queue=given.stream,
        credentials=given.credentials,
        timeout=given.timeout,
        consumer=given.consumer,
        lease_seconds=given.lease_seconds,
    )


_NATS: Final = Kind(
    system="nats", open=_nats, named_by="STREAM", named_words="write the name of the JetStream stream", extra="nats"
)
_REDIS: Final = Kind(
    system="redis", open=_redis, named_by="STREAM", named_words="write the name of the Redis stream", extra="redis"
)
_POSTGRES: Final = Kind(
    system="postgresql",
    open=_postgres,
    named_by="QUEUE",
    named_words="write the name of the queue in the database",
    extra="postgres",
)
_RABBITMQ: Final = Kind(
    system="rabbitmq",
    open=_rabbitmq,
    named_by="QUEUE",
    named_words="write the name of the RabbitMQ queue",
    extra="rabbitmq",
)
_KAFKA: Final = Kind(
    system="kafka", open=_kafka, named_by="TOPIC", named_words="write the name of the Kafka topic", extra="kafka"
)
KINDS: Final[Mapping[str, Kind]] = {
    "redis": _REDIS,
    "rediss": _REDIS,
    "nats": _NATS,
    "tls": _NATS,
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "amqp": _RABBITMQ,
    "amqps": _RABBITMQ,
    "kafka": _KAFKA,
    "kafka+ssl": _KAFKA,
    "sqlite": Kind(system="sqlite", open=_sqlite, local=True),
    "memory": Kind(system="memory", open=_memory, local=True),
}
"""By the scheme of the URL."""


def kind_of(url: str) -> Kind:
    """Which kind of broker is at this address.

    Raises:
        ConfigurationError: none that there is.
    """
    scheme = urlsplit(url).scheme
    if scheme not in KINDS:
        *others, last = (f"{known}://" for known in KINDS)
        raise ConfigurationError(f"no broker for scheme {scheme!r}: write {', '.join(others)} or {last}")
    return KINDS[scheme]


def connect(
    url: str,
    *,
    stream: str = "",
    group: str = "",
    credentials: Credentials | None = None,
    timeout: float = 5.0,
    consumer: str = "",
    lease_seconds: float = 60.0,
    store: "MemoryStore | None" = None,
) -> Broker:
    """The broker at this address. No input or output happens here.

    Args:
        url: `redis://[user:password@]host[:port][/db]`, `rediss://...` for TLS, `nats://[user:password@]host[:port]`,
            `tls://...` for NATS with TLS, `postgresql://[user[:password]@]host[:port]/database`, with TLS unless
            `?sslmode=disable` is behind it, `amqp://[user:password@]host[:port][/vhost]`, `amqps://...` for TLS,
            `kafka://[user:password@]host[:port][,host...]`, `kafka+ssl://...` for TLS, `sqlite:///path`, or `memory://`.
        stream: For Redis: the stream's key. For NATS: the stream. For PostgreSQL: the queue's name in the database. For
            RabbitMQ: the queue's name. For Kafka: the topic.
        group: For Redis and Kafka: the consumer group. For NATS: the consumer. The stream's name by default.
        credentials: Files that are read anew for each connection; they win over those in the URL.
        timeout: Seconds after which a call fails with BrokerUnavailable.
        consumer: Who takes, unique among all processes that ever lived; a random one by default.
        lease_seconds: How long a taken job stays with its consumer without `extend`.
        store: For memory: what to share with other brokers of this process; a new one by default.

    Raises:
        ConfigurationError: the URL, or what belongs to it, is wrong.
    """
    kind = kind_of(url)
    given = Given(stream, group, credentials or Credentials(), timeout, consumer, lease_seconds, store)
    try:
        return kind.open(url, given)
    except ModuleNotFoundError as error:
        if not kind.extra:
            raise
        text = f"for {kind.system} install the extra: pip install 'workerpool[{kind.extra}]'"
        raise ConfigurationError(text) from error
