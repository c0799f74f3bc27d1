"""Who asks, and whether they may: front proxy, else bearer token, else nobody; then the cluster's own rules.

Tokens and rights are the API server's to judge (TokenReview, SubjectAccessReview); its answers are remembered for
`REVIEW_SECONDS`. While it cannot be asked, nobody gets in.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from workerpool_operator.serve.external_metrics import documents
from workerpool_operator.serve.external_metrics.documents import GROUP, VERSION
from workerpool_operator.serve.external_metrics.identity import FrontProxy, Headers, User
from workerpool_operator.serve.external_metrics.remember import Remembered

Json = dict[str, Any]

REVIEW_SECONDS: Final = 10.0
MAX_TOKENS: Final = 256
MAX_DECISIONS: Final = 4096
MAX_REVIEWS: Final = 8
"""Under way at once: whoever tries one bad token after the other must not flood the API server."""

_log = structlog.get_logger(__name__)


class Reviews(Protocol):
    """The API server's word on tokens and rights. Each raises when there is none."""

    async def user_info(self, token: str) -> Json | None:
        """The `user` of a TokenReview for the API server's own audience, or None: no valid token."""

    async def allowed(self, spec: Json) -> bool:
        """Whether a SubjectAccessReview with this `spec` says yes."""


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody wants to do: read a metric in a namespace, or else the document at a path."""

    path: str = ""
    namespace: str = ""
    metric: str = ""

    def __str__(self) -> str:
        return f"{self.metric}.{GROUP} in namespace {self.namespace!r}" if self.metric else self.path

    def attributes(self) -> Json:
        """As a SubjectAccessReview names it; a GET of a collection is a `list` to Kubernetes."""
        if not self.metric:
            return {"nonResourceAttributes": {"path": self.path, "verb": "get"}}
        resource = {"group": GROUP, "version": VERSION, "resource": self.metric}
        return {"resourceAttributes": {**resource, "namespace": self.namespace, "verb": "list"}}


class Gate:
    """Lets a request through, or raises the ApiError to answer it with."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews
        self._turns = asyncio.Semaphore(MAX_REVIEWS)
        self._users = Remembered[bytes, User | None](seconds=REVIEW_SECONDS, limit=MAX_TOKENS)
        self._decisions = Remembered[tuple[User, Access], bool](seconds=REVIEW_SECONDS, limit=MAX_DECISIONS)

    async def check(
        self, access: Access, *, proxy: FrontProxy, certificate: Mapping[str, Any] | None, headers: Headers
    ) -> None:
        """Return when the caller may do what it wants to. `certificate` is a verified one, as `ssl` tells of it.

        Raises:
            ApiError: 401, 403, or 503 when the API server does not say.
        """
        user = proxy.user(certificate, headers) or await self._bearer(headers)
        if user is None:
            raise documents.unauthorized()
        try:
            allowed = await self._decisions.get((user, access), lambda: self._decide(user, access))
        except Exception as error:
            _log.warning("access_review_failed", error=str(error))
            raise documents.unavailable("rights cannot be reviewed at the moment") from error
        if not allowed:
            raise documents.forbidden(f"user {user.name!r} may not read {access}")

    async def _bearer(self, headers: Headers) -> User | None:
        scheme, _, token = next(iter(headers.getall("Authorization", [])), "").partition(" ")
        if scheme.lower() != "bearer" or not token or not token.isascii():
            return None
        digest = hashlib.sha256(token.encode()).digest()  # what is remembered does not hold the token
        try:
            return await self._users.get(digest, lambda: self._owner(token))
        except Exception as error:
            _log.warning("token_review_failed", error=str(error))
            raise documents.unavailable("tokens cannot be reviewed at the moment") from error

    async def _owner(self, token: str) -> User | None:
        async with self._turns:
            info = await self._reviews.user_info(token)
        return User.of(info) if info else None

    async def _decide(self, user: User, access: Access) -> bool:
        about = {"user": user.name, "groups": list(user.groups), "uid": user.uid}
        extra = {key: list(values) for key, values in user.extra}
        async with self._turns:
            return await self._reviews.allowed({**about, "extra": extra, **access.attributes()})
