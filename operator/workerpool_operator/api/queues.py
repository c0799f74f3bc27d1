"""`spec.queues`: where the jobs come from, and how the broker is reached.

Only the namespace's collector and the pool's own workers connect to a broker. The operator never does, and never reads
the Secrets named here: it mounts them.
"""

from typing import Literal

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import DNS_LABEL, Key, Model, Name, Rule, explained, rules
from workerpool_operator.api.broker_kind import BrokerKind
from workerpool_operator.api.brokers import KINDS, Kinds
from workerpool_operator.api.pod import SecretKeyRef


class SecretValue(Model):
    """A value that lies in a Secret."""

    secret_key_ref: SecretKeyRef = Field(description="The Secret's key.")


class Credentials(Model):
    """Whom the broker sees. Mounted as files; changes of the Secret reach the files without a new version."""

    username: SecretValue | None = Field(default=None, description="User name; the broker's default user when unset.")
    password: SecretValue | None = Field(
        default=None,
        description="Password. For NATS also, without a user name: a token, the seed of an nkey, or a credentials file "
        "(.creds).",
    )


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
        default=None,
        description="The certificate that is shown to the broker. For RabbitMQ it says who one is, where no "
        "credentials are given and EXTERNAL is offered.",
    )


class QueueSpec(Kinds):
    """One queue of the pool."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=f"[{', '.join(f'has(self.{kind})' for kind in KINDS)}].filter(set, set).size() == 1",
                message=f"set exactly one kind of broker: {', '.join(KINDS)}",
            ),
            *(
                Rule(
                    cel=f"!has(self.tls) || !has(self.{name}) || self.{name}.{kind.ENCRYPTED}",
                    message=f"tls needs an encrypted connection: {kind.ENCRYPTED_WORDS}, or leave tls out",
                )
                for name, kind in KINDS.items()
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
    credentials: Credentials | None = Field(
        default=None,
        description="Secrets of the pool's own namespace with the broker's user name and password. They are mounted, "
        "never read by the operator.",
    )
    tls: TLS | None = Field(
        default=None, description="Certificate authority and client certificate, for brokers that speak TLS."
    )

    @property
    def broker(self) -> BrokerKind | None:
        """Where the queue is; None when only a newer definition than this program's knows that kind."""
        return next((kind for name in Kinds.model_fields if (kind := getattr(self, name)) is not None), None)

    @property
    def env_name(self) -> str:
        """`<NAME>` in the worker contract's `QUEUE_<NAME>_...` variables."""
        return self.name.upper().replace("-", "_")
