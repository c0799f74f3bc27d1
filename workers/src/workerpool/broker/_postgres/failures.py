"""What the errors of asyncpg and of the server mean to whoever uses a queue."""

import ssl
from typing import Final

import asyncpg

from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    QueueNotFound,
    TLSFailed,
)

_UNUSABLE: Final = frozenset(
    {
        "25006",  # read-only: it was the primary and is a standby now, or was one all along
        "57P01",  # shut down, or the connection was ended by somebody
        "57P02",  # another process of the server crashed
        "57P03",  # it starts, or recovers
        "57P05",  # it ends connections that are idle
        "0A000",  # what was prepared returns something else now: the schema was brought up to date
        "26000",  # what was prepared is not there: a pooler that was not noticed
    }
)
"""The connection is of no more use: another one may get to the server that took over."""
_NOT_NOW: Final = ("08", "40", "53", "55", "57", "58", "25006", "25P03", "0A000", "26000")
"""Connection lost, serialization or deadlock, out of a resource, lock not there, operator intervened, I/O error; and
what another connection will not say."""
_BUSY: Final = frozenset({"55P03", "57014"})
"""A lock that was not to be had in time, and a statement that was at work for too long."""
_NO_ACCESS: Final = ("28", "42501")
_NOT_THERE: Final = ("3D000", "3F000", "42P01", "42883", "42703", "P0002")
"""No such database, schema, table, function, column or row: nobody made the queue, or somebody deleted it."""


def is_unusable(error: BaseException) -> bool:
    """Whether the connection that it came by had better be left."""
    return not isinstance(error, asyncpg.PostgresError) or error.sqlstate in _UNUSABLE


def is_missing(error: BaseException) -> bool:
    """Whether there is no such queue here, or nothing of ours at all."""
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate) in _NOT_THERE[1:]


def is_busy(error: BaseException) -> bool:
    """Whether somebody else was in the way."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _BUSY


def refused(error: asyncpg.PostgresError, where: str) -> BrokerError:
    """The error of ours for what the server said."""
    state, text = str(error.sqlstate), f"{where}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    kinds: tuple[tuple[tuple[str, ...], type[BrokerError]], ...] = (
        (_NO_ACCESS, AuthenticationFailed),
        (_NOT_THERE, QueueNotFound),
        (_NOT_NOW, BrokerUnavailable),
    )
    return next((kind(text) for states, kind in kinds if state.startswith(states)), BadAnswer(text))


def broken(error: Exception, where: str) -> BrokerError:
    """The error of ours for a connection that failed, or could not be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TLSFailed(f"{where}: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return TLSFailed(f"{where}: {error.reason or error}")
    if "rejected SSL upgrade" in str(error):
        return TLSFailed(f"{where}: the server does not speak TLS; without it write ?sslmode=disable behind the URL")
    return BrokerUnavailable(f"{where}: {error}")
