"""What an error of aiokafka means. Texts hold no credentials."""

import ssl
from collections.abc import Iterator

from aiokafka import errors

from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerUnavailable,
    PayloadInvalid,
    QueueNotFound,
    TLSFailed,
    WorkerpoolError,
)

_NO_ACCESS = (
    errors.SaslAuthenticationFailed,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
)
_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)
_NOT_UNDERSTOOD = (
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    errors.UnrecognizedBrokerVersion,
    errors.InvalidRequestError,
    errors.InvalidSessionTimeoutError,
    errors.InconsistentGroupProtocolError,
    errors.CorrelationIdError,
)


def meaning(error: BaseException, *, where: str) -> WorkerpoolError | None:
    """The error of ours; None: this is none of Kafka's."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return TLSFailed(f"{where}: its certificate is not accepted: {one.verify_message}")
        if isinstance(one, ssl.SSLError):
            return TLSFailed(f"{where}: {one.reason or one}")
    return _meaning(error, where=where)


def _meaning(error: BaseException, *, where: str) -> WorkerpoolError | None:
    text = f"{where}: {type(error).__name__}: {error}" if isinstance(error, errors.KafkaError) else f"{where}: {error}"
    kind: type[WorkerpoolError] | None = None
    if isinstance(error, (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)):
        kind = QueueNotFound
    elif isinstance(error, _NO_ACCESS):
        kind = AuthenticationFailed
    elif isinstance(error, _TOO_LARGE):
        kind = PayloadInvalid
    elif isinstance(error, _NOT_UNDERSTOOD):
        kind = BadAnswer
    elif isinstance(error, (errors.KafkaError, errors.ConsumerStoppedError, OSError)):
        kind = BrokerUnavailable
    return kind(text) if kind is not None else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def of_code(code: int) -> Exception | None:
    """The error behind a number in an answer; None: there is none."""
    kind = errors.for_code(code)
    return None if kind is errors.NoError else kind()
