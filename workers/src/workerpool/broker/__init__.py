"""Brokers behind one Protocol.

`connect` chooses by the scheme of the URL and does no input or output: the first call that needs the broker dials.
The same object serves a producer, a consumer and an observer that only asks for `depth`.
"""

from workerpool.broker._connect import connect
from workerpool.broker._credentials import Credentials
from workerpool.broker._protocol import Broker
from workerpool.broker._types import (
    EACH_TENANT,
    Capabilities,
    DeadJob,
    DeadJobs,
    DeadLetter,
    DeathReason,
    Depth,
    NewJob,
    Priority,
    Retry,
    Taken,
    TenantLimit,
    Tokens,
    TraceContext,
)
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    CredentialsMissing,
    QueueNotFound,
    SchemaMismatch,
    TLSFailed,
)

__all__ = [
    "EACH_TENANT",
    "AuthenticationFailed",
    "BadAnswer",
    "Broker",
    "BrokerError",
    "BrokerUnavailable",
    "Capabilities",
    "Credentials",
    "CredentialsMissing",
    "DeadJob",
    "DeadJobs",
    "DeadLetter",
    "DeathReason",
    "Depth",
    "NewJob",
    "Priority",
    "QueueNotFound",
    "Retry",
    "SchemaMismatch",
    "TLSFailed",
    "Taken",
    "TenantLimit",
    "Tokens",
    "TraceContext",
    "connect",
]
