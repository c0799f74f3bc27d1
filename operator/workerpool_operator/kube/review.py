"""Whom a bearer token belongs to, as a TokenReview tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True, slots=True)
class Identity:
    """A service account, and the pod that its token is bound to (empty for an unbound token)."""

    username: str
    namespace: str
    service_account: str
    pod: str = ""
    pod_uid: str = ""


def identity_of(status: Mapping[str, Any], *, audience: str) -> Identity | None:
    """The service account behind a TokenReview's status; None for everybody else.

    The server lists the audiences that it recognised. One that does not know audiences lists none and has
    checked the token against the API server's own audience only: that is a no.
    """
    if not status.get("authenticated") or audience not in (status.get("audiences") or ()):
        return None
    user = status.get("user") or {}
    username = user.get("username", "")
    namespace, _, account = username.removeprefix(_SERVICE_ACCOUNT_PREFIX).partition(":")
    if not username.startswith(_SERVICE_ACCOUNT_PREFIX) or not namespace or not account:
        return None
    extra = user.get("extra") or {}
    return Identity(
        username=username,
        namespace=namespace,
        service_account=account,
        pod=_first(extra, _POD_NAME),
        pod_uid=_first(extra, _POD_UID),
    )


def user_of(status: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `user` of a TokenReview's status, whoever it is; None unless the server vouches for it."""
    if status.get("authenticated") is not True or status.get("error"):
        return None
    user: dict[str, Any] | None = status.get("user")
    return user


def _first(extra: Mapping[str, Any], key: str) -> str:
    values = extra.get(key) or [""]
    return str(values[0])
