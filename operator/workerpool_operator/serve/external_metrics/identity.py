"""Who asks: what the API server's front proxy says, once it has shown its certificate.

Requests come through the API server's aggregator. It has authenticated its caller and names it in headers, which count
only on a connection whose client certificate the cluster's front-proxy authority has signed for an allowed name. The
API server publishes all of that in the ConfigMap `kube-system/extension-apiserver-authentication`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self
from urllib.parse import unquote

_ANONYMOUS: Final = "system:anonymous"
_AUTHENTICATED: Final = "system:authenticated"
_UNAUTHENTICATED: Final = "system:unauthenticated"


class Headers(Protocol):
    """The headers of a request, without regard to case."""

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """All values of a header, in order."""

    def keys(self) -> Iterable[str]:
        """The names as they were sent."""


@dataclass(frozen=True, slots=True)
class User:
    """A user as Kubernetes knows one. Hashable: reviews are remembered by it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Self | None:
        """From the `user` of a TokenReview; None when it names nobody."""
        if not info.get("username"):
            return None
        extra = info.get("extra") or {}
        return cls(
            name=info["username"],
            groups=tuple(info.get("groups") or ()),
            uid=info.get("uid") or "",
            extra=tuple(sorted((key, tuple(values)) for key, values in extra.items())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontProxy:
    """How the API server's front proxy shows itself. Without `ca_pem` there is none, and its headers count nothing."""

    ca_pem: str = ""
    allowed_names: tuple[str, ...] = ()
    """Common names; none allows each that the authority has signed."""
    user_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Self:
        """From the ConfigMap's data. Raises ValueError when it is malformed."""
        return cls(
            ca_pem=data.get("requestheader-client-ca-file", ""),
            allowed_names=_strings(data, "requestheader-allowed-names"),
            user_headers=_strings(data, "requestheader-username-headers"),
            group_headers=_strings(data, "requestheader-group-headers"),
            uid_headers=_strings(data, "requestheader-uid-headers"),
            extra_prefixes=_strings(data, "requestheader-extra-headers-prefix"),
        )

    def user(self, certificate: Mapping[str, Any] | None, headers: Headers) -> User | None:
        """Whom the proxy speaks for.

        `certificate` is what `ssl` tells of one that was verified against `ca_pem`, None or empty without.
        """
        if not self.shown(certificate):
            return None
        name = next((value for header in self.user_headers for value in headers.getall(header, []) if value), "")
        if not name:
            return None
        return User(
            name=name,
            groups=_groups(name, [value for header in self.group_headers for value in headers.getall(header, [])]),
            uid=next((value for header in self.uid_headers for value in headers.getall(header, []) if value), ""),
            extra=self._extra(headers),
        )

    def shown(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether the proxy itself has shown this verified certificate."""
        if not self.ca_pem or not certificate:
            return False
        names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
        return not self.allowed_names or any(name in self.allowed_names for name in names)

    def _extra(self, headers: Headers) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found: dict[str, tuple[str, ...]] = {}
        for name in sorted({name.lower() for name in headers.keys()}):  # noqa: SIM118  not a mapping
            for prefix in self.extra_prefixes:
                if name.startswith(prefix.lower()):
                    found[unquote(name[len(prefix) :])] = tuple(headers.getall(name, []))
        return tuple(sorted(found.items()))


def _groups(name: str, sent: list[str]) -> tuple[str, ...]:
    """The groups of a user that somebody has authenticated.

    As every API server does it: the aggregator's own requests, for discovery and OpenAPI, name a user and no group.
    """
    if name == _ANONYMOUS or _AUTHENTICATED in sent or _UNAUTHENTICATED in sent:
        return tuple(sent)
    return (*sent, _AUTHENTICATED)


def _strings(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    found = json.loads(data.get(key) or "[]")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{key} is no list of strings")
    return tuple(found)
