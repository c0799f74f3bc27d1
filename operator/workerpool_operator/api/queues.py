"""`spec.queues`: where the jobs come from, and how the broker is reached.

Only the namespace's collector and the pool's own workers connect to a broker. The operator never does, and never reads
the Secrets named here: it mounts them.
"""

from typing import Final, Literal

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import DNS_LABEL, Key, Model, Name, Rule, explained, rules
from workerpool_operator.api.pod import SecretKeyRef

QUEUE_KINDS: Final = ("redisStream",)
_PORT: Final = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_REDIS_NAME: Final = r"^[!-~]+$"
_REDIS_NAME_WORDS: Final = "write it in printable ASCII without spaces"


class RedisStream(Model):
    """A Redis stream read by a consumer group."""

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address: redis://HOST:PORT/DB, or rediss:// for TLS. No user, password or options in it.",
        json_schema_extra=rules(
            Rule(
                cel="self.startsWith('redis://') || self.startsWith('rediss://')",
                message="the url must start with redis:// or rediss://, such as redis://redis:6379/0",
            ),
            Rule(
                cel="!self.contains('@')",
                message="leave user and password out of the url: put them into a Secret and name it in credentials",
            ),
            Rule(
                cel=r"self.contains('@') || self.matches('^[a-z]+://([A-Za-z0-9][-A-Za-z0-9.]*|\\[[0-9a-fA-F:.]+\\])"
                rf"(:{_PORT})?(/[0-9]{{0,5}})?$')",
                message="write the url as redis://HOST:PORT/DB with a port from 1 to 65535, without a path, options or "
                "fragment behind it",
            ),
        ),
    )
    stream: str = Field(
        min_length=1,
        max_length=256,
        pattern=_REDIS_NAME,
        description="Key of the stream.",
        json_schema_extra=explained(_REDIS_NAME_WORDS),
    )
    group: str = Field(
        min_length=1,
        max_length=256,
        pattern=_REDIS_NAME,
        description="Name of the consumer group.",
        json_schema_extra=explained(_REDIS_NAME_WORDS),
    )


class SecretValue(Model):
    """A value that lies in a Secret."""

    secret_key_ref: SecretKeyRef = Field(description="The Secret's key.")


class Credentials(Model):
    """Whom the broker sees. Mounted as files; changes of the Secret reach the files without a new version."""

    username: SecretValue | None = Field(default=None, description="User name; the broker's default user when unset.")
    password: SecretValue | None = Field(default=None, description="Password.")


class CARef(Model):
    """Where the broker's certificate authority lies."""

    kind: Literal["Secret", "ConfigMap"] = Field(
        default="Secret", description="Kind of the object: Secret or ConfigMap."
    )
    name: Name = Field(description="Name of the object, in the pool's own namespace.")
    key: Key = Field(default="ca.crt", description="Key in the object; PEM.")


class ClientCertRef(Model):
    """A client certificate."""

    name: Name = Field(
        description="Name of a Secret of type kubernetes.io/tls (keys tls.crt and tls.key) in the pool's own namespace."
    )


class TLS(Model):
    """How the connection is secured. The broker's certificate is always verified."""

    ca_ref: CARef | None = Field(
        default=None, description="The authority that signed the broker's certificate; the image's own list when unset."
    )
    client_cert_ref: ClientCertRef | None = Field(
        default=None, description="The certificate that is shown to the broker."
    )


class QueueSpec(Model):
    """One queue of the pool."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=f"[{', '.join(f'has(self.{kind})' for kind in QUEUE_KINDS)}].filter(set, set).size() == 1",
                message=f"set exactly one kind of broker: {', '.join(QUEUE_KINDS)}",
            ),
            Rule(
                cel="!has(self.tls) || !has(self.redisStream) || self.redisStream.url.startsWith('rediss://')",
                message="tls needs an encrypted connection: write the url as rediss://, or leave tls out",
            ),
        )
    )

    name: str = Field(
        min_length=1,
        max_length=32,
        pattern=DNS_LABEL,
        description="Name of the queue in this pool; workers find it in QUEUE_<NAME>_URL.",
        json_schema_extra=explained(
            "name a queue with a-z, 0-9 and '-', starting and ending with a letter or digit: such as thumbs-high"
        ),
    )
    redis_stream: RedisStream | None = Field(default=None, description="A Redis stream read by a consumer group.")
    credentials: Credentials | None = Field(
        default=None,
        description="Secrets of the pool's own namespace with the broker's user name and password. They are mounted, "
        "never read by the operator.",
    )
    tls: TLS | None = Field(
        default=None, description="Certificate authority and client certificate, for brokers that speak TLS."
    )

    @property
    def env_name(self) -> str:
        """`<NAME>` in the worker contract's `QUEUE_<NAME>_...` variables."""
        return self.name.upper().replace("-", "_")
