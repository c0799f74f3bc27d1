"""The kinds of brokers that a queue of `spec.queues` may be in.

`Kinds` is the table: a new kind is a class below, or in `depths`, and a field there. The resource's schema and its
rules, the variables of the workers and the reference are made from it; `workerpool_operator.collector.sources` has the
other table, of how the collector reaches each of them.
"""

from collections.abc import Mapping
from typing import Final, get_args

from pydantic import Field

from workerpool_operator.api._base import Model, Rule, explained, rules
from workerpool_operator.api.broker_kind import (
    HOST,
    NO_PASSWORD,
    PORT,
    PRINTABLE,
    PRINTABLE_WORDS,
    REDIS_URL,
    BrokerKind,
)
from workerpool_operator.api.depths import HttpDocument, PrometheusQuery, RedisList


class RedisStream(BrokerKind):
    """A Redis stream read by a consumer group."""

    ENCRYPTED = "url.startsWith('rediss://')"
    ENCRYPTED_WORDS = "write the url as rediss://"

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address: redis://HOST:PORT/DB, or rediss:// for TLS. No user, password or options in it.",
        json_schema_extra=rules(*REDIS_URL),
    )
    stream: str = Field(
        min_length=1,
        max_length=256,
        pattern=PRINTABLE,
        description="Key of the stream.",
        json_schema_extra=explained(PRINTABLE_WORDS),
    )
    group: str = Field(
        min_length=1,
        max_length=256,
        pattern=PRINTABLE,
        description="Name of the consumer group.",
        json_schema_extra=explained(PRINTABLE_WORDS),
    )

    def variables(self) -> dict[str, str]:
        """The address, the stream and the group."""
        return {"URL": self.url, "STREAM": self.stream, "GROUP": self.group}


_NATS_NAME: Final = "^[A-Za-z0-9_-]+$"
_NATS_NAME_WORDS: Final = "write it in a-z, A-Z, 0-9, '-' and '_'"


class NatsJetStream(BrokerKind):
    """A JetStream stream of NATS 2.12 or later, read by durable consumers; they are made unless they are there."""

    ENCRYPTED = "url.startsWith('tls://')"
    ENCRYPTED_WORDS = "write the url as tls://"
    WITHOUT = ("tenantLimits",)

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address: nats://HOST:PORT, or tls:// for TLS. No user, password or options in it.",
        json_schema_extra=rules(
            Rule(
                cel="self.startsWith('nats://') || self.startsWith('tls://')",
                message="the url must start with nats:// or tls://, such as nats://nats:4222",
            ),
            NO_PASSWORD,
            Rule(
                cel=rf"self.contains('@') || self.matches('^[a-z]+://{HOST}(:{PORT})?$')",
                message="write the url as nats://HOST:PORT with a port from 1 to 65535 and nothing behind it",
            ),
        ),
    )
    stream: str = Field(
        min_length=1,
        max_length=200,
        pattern=_NATS_NAME,
        description="Name of the stream. Its subjects begin with it.",
        json_schema_extra=explained(_NATS_NAME_WORDS),
    )
    consumer: str = Field(
        min_length=1,
        max_length=200,
        pattern=_NATS_NAME,
        description="Name of the durable consumer.",
        json_schema_extra=explained(_NATS_NAME_WORDS),
    )

    def variables(self) -> dict[str, str]:
        """The address, the stream and the consumer."""
        return {"URL": self.url, "STREAM": self.stream, "GROUP": self.consumer}


class Postgres(BrokerKind):
    """A queue in a PostgreSQL database."""

    ENCRYPTED = "url.endsWith('sslmode=disable') == false"
    ENCRYPTED_WORDS = "leave ?sslmode=disable out of the url"

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address: postgresql://HOST:PORT/DATABASE, with TLS; without it ?sslmode=disable stands behind it. "
        "No user, password or other options in it.",
        json_schema_extra=rules(
            Rule(
                cel="self.startsWith('postgresql://')",
                message="the url must start with postgresql://, such as postgresql://postgres:5432/jobs",
            ),
            NO_PASSWORD,
            Rule(
                cel=rf"self.contains('@') || self.matches('^[a-z]+://{HOST}(:{PORT})?/[-_.A-Za-z0-9]+"
                r"([?]sslmode=(disable|verify-full))?$')",
                message="write the url as postgresql://HOST:PORT/DATABASE with a port from 1 to 65535; the only option "
                "is ?sslmode=disable, for a connection that is not encrypted",
            ),
        ),
    )
    queue: str = Field(
        min_length=1,
        max_length=256,
        pattern=PRINTABLE,
        description="Name of the queue in the database, which may hold many.",
        json_schema_extra=explained(PRINTABLE_WORDS),
    )

    def variables(self) -> dict[str, str]:
        """The address and the queue."""
        return {"URL": self.url, "QUEUE": self.queue}


class RabbitMQ(BrokerKind):
    """A quorum queue of RabbitMQ 3.10 or later; it is made unless it is there."""

    ENCRYPTED = "url.startsWith('amqps://')"
    ENCRYPTED_WORDS = "write the url as amqps://"
    WITHOUT = ("tenantLimits",)
    BY_SHARES = True

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address: amqp://HOST:PORT/VHOST, or amqps:// for TLS; without a VHOST it is /. No user, password "
        "or options in it.",
        json_schema_extra=rules(
            Rule(
                cel="self.startsWith('amqp://') || self.startsWith('amqps://')",
                message="the url must start with amqp:// or amqps://, such as amqp://rabbitmq:5672/jobs",
            ),
            NO_PASSWORD,
            Rule(
                cel=rf"self.contains('@') || self.matches('^[a-z]+://{HOST}(:{PORT})?(/[-_.%A-Za-z0-9]*)?$')",
                message="write the url as amqp://HOST:PORT/VHOST with a port from 1 to 65535, and a / in the vhost's "
                "name as %2F",
            ),
        ),
    )
    queue: str = Field(
        min_length=1,
        max_length=200,
        pattern=PRINTABLE,
        description="Name of the queue. Those of delayed jobs and dead letters begin with it.",
        json_schema_extra=explained(PRINTABLE_WORDS),
    )

    def variables(self) -> dict[str, str]:
        """The address and the queue."""
        return {"URL": self.url, "QUEUE": self.queue}


_KAFKA_NAME: Final = "^[A-Za-z0-9._-]+$"
_KAFKA_NAME_WORDS: Final = "write it in a-z, A-Z, 0-9, '.', '-' and '_'"


class Kafka(BrokerKind):
    """A topic of Kafka, read by a consumer group; it is there before, the ones beside it are made."""

    ENCRYPTED = "url.startsWith('kafka+ssl://')"
    ENCRYPTED_WORDS = "write the url as kafka+ssl://"
    WITHOUT = ("tenantLimits",)
    BY_SHARES = True

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address of some servers of the cluster: kafka://HOST:PORT,HOST:PORT, or kafka+ssl:// for TLS; how "
        "a user logs in may follow, ?sasl=SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN (the default). No user or password "
        "in it.",
        json_schema_extra=rules(
            Rule(
                cel="self.startsWith('kafka://') || self.startsWith('kafka+ssl://')",
                message="the url must start with kafka:// or kafka+ssl://, such as kafka://kafka:9092",
            ),
            NO_PASSWORD,
            Rule(
                cel=rf"self.contains('@') || self.matches('^[a-z+]+://{HOST}(:{PORT})?(,{HOST}(:{PORT})?)*"
                r"([?]sasl=(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512))?$')",
                message="write the url as kafka://HOST:PORT,HOST:PORT with ports from 1 to 65535; the only option is "
                "?sasl=SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN",
            ),
        ),
    )
    topic: str = Field(
        min_length=1,
        max_length=115,
        pattern=_KAFKA_NAME,
        description="Name of the topic. It has as many partitions as workers can work at a time.",
        json_schema_extra=explained(_KAFKA_NAME_WORDS),
    )
    group: str = Field(
        min_length=1,
        max_length=115,
        pattern=_KAFKA_NAME,
        description="Name of the consumer group.",
        json_schema_extra=explained(_KAFKA_NAME_WORDS),
    )

    def variables(self) -> dict[str, str]:
        """The address, the topic and the group."""
        return {"URL": self.url, "TOPIC": self.topic, "GROUP": self.group}


class Kinds(Model):
    """One field for each kind of broker, of which a queue sets exactly one."""

    redis_stream: RedisStream | None = Field(default=None, description="A Redis stream read by a consumer group.")
    nats_jet_stream: NatsJetStream | None = Field(
        default=None, description="A JetStream stream of NATS 2.12 or later, read by durable consumers."
    )
    postgres: Postgres | None = Field(default=None, description="A queue in a PostgreSQL database.")
    rabbitmq: RabbitMQ | None = Field(default=None, description="A quorum queue of RabbitMQ 3.10 or later.")
    kafka: Kafka | None = Field(default=None, description="A topic of Kafka, read by a consumer group.")
    redis_list: RedisList | None = Field(
        default=None,
        description="Only a depth: keys of a Redis in which another library keeps its jobs. The workers are not told "
        "where their jobs are.",
    )
    prometheus: PrometheusQuery | None = Field(
        default=None,
        description="Only a depth: a query to a Prometheus. The workers are not told where their jobs are.",
    )
    http: HttpDocument | None = Field(
        default=None,
        description="Only a depth: a number in a JSON document. The workers are not told where their jobs are.",
    )


KINDS: Final[Mapping[str, type[BrokerKind]]] = {
    field.alias or name: get_args(field.annotation)[0] for name, field in Kinds.model_fields.items()
}
"""By the name of the field in the resource."""
