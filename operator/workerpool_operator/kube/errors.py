"""What can go wrong with a request to the Kubernetes API.

::

    KubeError
    ├── NotFound                no such object (or namespace)
    │   └── KindNotServed       the API server knows no such kind: a CRD is missing
    ├── Conflict                somebody else changed the object, or a precondition did not hold
    │   └── AlreadyExists       create of a name that is taken
    │       └── NameTaken       and not by what could be made ours
    ├── Forbidden               RBAC or admission says no
    │   ├── QuotaExceeded       a ResourceQuota is full
    │   └── NamespaceTerminating  the namespace is being deleted
    ├── Unauthorized            the API server does not accept the credentials
    ├── Invalid                 the object breaks a rule; `causes` name the fields
    │   └── UnknownField        the kind has no such field here: the CRD is older
    ├── Expired                 the resource version or continue token is too old (410)
    ├── TooManyRequests         throttled; `retry_after` says for how long
    ├── Unavailable             5xx, connection refused or reset, name not resolved, TLS failed
    │   └── Untrusted           its certificate does not fit: `detail` is what does not
    ├── RequestTimeout          no answer in time: a write may or may not have happened
    └── NotLeader               the write was not sent: this process does not hold the lease

The class docstring is the message, followed by what the server said.
"""

# ruff: noqa: N818  `except errors.NotFound` says it all

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

_QUOTA_MARK: Final = "exceeded quota"
_FIELD_MARK: Final = "strict decoding error: unknown field"
"""`fieldValidation=Strict` tells it in words only."""
_SERVER_ERRORS: Final = 500


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that the server objects to. `field` is a path such as `spec.replicas`, or empty."""

    field: str
    message: str
    reason: str = ""


class KubeError(Exception):
    """The Kubernetes API refused the request."""

    retryable: ClassVar[bool] = False
    """The very same request may succeed later although nobody changes anything."""

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        causes: tuple[Cause, ...] = (),
        retry_after: float | None = None,
        continue_token: str = "",
        resource: str = "",
    ) -> None:
        headline = (type(self).__doc__ or "").partition("\n")[0].rstrip(".")
        super().__init__(f"{headline}: {detail}" if detail else headline)
        self.detail = detail
        self.status = status
        """HTTP status, or None when there was no answer."""
        self.causes = causes
        self.retry_after = retry_after
        """Seconds that the server asks to wait, where it says so."""
        self.continue_token = continue_token
        """Where a listing whose token expired can go on (inconsistently), if the server offers that."""
        self.resource = resource
        """What it is about, as the server says: the plural of a kind; empty: it does not say."""

    @property
    def code(self) -> str:
        """Short value for a metric label: the HTTP status, or the class where there was no answer."""
        return str(self.status) if self.status is not None else type(self).__name__


class NotFound(KubeError):
    """The object is not there."""


class KindNotServed(NotFound):
    """The API server does not serve this kind."""


class Conflict(KubeError):
    """Somebody else changed the object first."""


class AlreadyExists(Conflict):
    """An object of that name exists already."""


class NameTaken(AlreadyExists):
    """An object of that name exists already, and is not to be taken over."""


class Forbidden(KubeError):
    """The API server does not allow this."""


class QuotaExceeded(Forbidden):
    """A resource quota of the namespace is full."""


class NamespaceTerminating(Forbidden):
    """The namespace is being deleted."""


class Unauthorized(KubeError):
    """The API server does not accept the credentials."""

    retryable = True  # the token is read again, and a server that starts up says 401 for a moment


class Invalid(KubeError):
    """The API server calls the object invalid."""


class UnknownField(Invalid):
    """The resource definition in this cluster has no such field."""


class Expired(KubeError):
    """The resource version or continue token is too old."""


class TooManyRequests(KubeError):
    """The API server throttles its clients."""

    retryable = True


class Unavailable(KubeError):
    """The API server does not answer properly."""

    retryable = True


class Untrusted(Unavailable):
    """The certificate of the API server does not fit."""


class RequestTimeout(KubeError):
    """The API server did not answer in time."""

    retryable = True


class NotLeader(KubeError):
    """Not sent, since this process does not hold the lease."""


_BY_STATUS: Final[dict[int, type[KubeError]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: RequestTimeout,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
    504: RequestTimeout,
}


def error_from_answer(
    status: int,
    body: bytes,
    *,
    headers: Mapping[str, str],
    request: str,
) -> KubeError:
    """The exception for an answer with an error status.

    `body` is a `Status` object where the API server itself answered, anything at all where a proxy did.
    `request` names verb and object, for the message.
    """
    answer = _status_object(body)
    details = answer.get("details") or {}
    causes = tuple(
        Cause(cause.get("field", ""), cause.get("message", ""), cause.get("reason", ""))
        for cause in details.get("causes") or ()
    )
    message = message_of(body) or f"HTTP {status}"
    return _class_of(status, answer, causes=causes, message=message)(
        f"{request}: {message}",
        status=status,
        causes=causes,
        retry_after=_retry_after(headers, details),
        continue_token=(answer.get("metadata") or {}).get("continue", ""),
        resource=str(details.get("kind", "")),
    )


def message_of(body: bytes) -> str:
    """What an answer with an error status says to people; of one that is no `Status` object the beginning."""
    return str(_status_object(body).get("message") or body[:200].decode(errors="replace").strip())


def _class_of(status: int, answer: Mapping[str, Any], *, causes: tuple[Cause, ...], message: str) -> type[KubeError]:
    base = _BY_STATUS.get(status, Unavailable if status >= _SERVER_ERRORS else KubeError)
    if base is NotFound and not (answer.get("details") or {}).get("name"):
        # An unknown path is answered with plain text or a Status that names no object.
        return KindNotServed
    if base is Invalid:
        return _class_of_invalid(causes, message)
    if base is Conflict and answer.get("reason") == "AlreadyExists":
        return AlreadyExists
    if base is Forbidden and any(cause.reason == "NamespaceTerminating" for cause in causes):
        return NamespaceTerminating
    if base is Forbidden and _QUOTA_MARK in message:
        return QuotaExceeded
    return base


def _class_of_invalid(causes: tuple[Cause, ...], message: str) -> type[KubeError]:
    if any(cause.field == "metadata.uid" for cause in causes):
        return Conflict  # a uid as precondition: the server calls another uid a change of an immutable field
    return UnknownField if _FIELD_MARK in message else Invalid


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float | None:
    value = headers.get("Retry-After") or details.get("retryAfterSeconds")
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None  # an HTTP date: the API server never sends one, a proxy may
