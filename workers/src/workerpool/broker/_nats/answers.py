"""JetStream's refusals."""

from typing import Any, Final

from workerpool.errors import BadAnswer, BrokerError, BrokerUnavailable, QueueNotFound

STREAM_NOT_FOUND: Final = 10059
CONSUMER_NOT_FOUND: Final = 10014
MESSAGE_NOT_FOUND: Final = 10037
WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
WRONG_LAST_ID: Final = 10070
IN_DOUBT: Final = 10158
"""A message with this id is on its way, and nobody knows yet whether it arrives."""
NAME_IN_USE: Final = 10058
CONSUMER_EXISTS: Final = frozenset({10105, 10148})
NO_CLUSTER: Final = 10074
_DISABLED: Final = frozenset({10039, 10076})
_NO_LEADER: Final = frozenset({10009})
_NOT_NOW: Final = frozenset({503, 408, 429})


class NoRespondersError(BrokerUnavailable):
    """Nobody listens to this subject: there is no such stream or consumer, or it has no leader now."""


class ApiError(BrokerError):
    """The API said no.

    Attributes:
        code: JetStream's own `err_code`.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code

    @classmethod
    def of(cls, error: Any) -> BrokerError:
        """The fitting kind of error."""
        fields = error if isinstance(error, dict) else {}
        text = str(fields.get("description") or "refused")
        code, status = fields.get("err_code", 0), fields.get("code", 0)
        if code in _DISABLED:
            return QueueNotFound(f"JetStream: {text}")
        if status in _NOT_NOW or code in _NO_LEADER:
            return BrokerUnavailable(f"JetStream: {text}")
        return cls(f"JetStream: {text}", code) if isinstance(code, int) else BadAnswer(f"JetStream: {text}")
