"""Who asks, and whether they may: front proxy, else bearer token, else nobody; then the cluster's own rules.

Tokens and rights are the API server's to judge (TokenReview, SubjectAccessReview); its answers are remembered for
`REVIEW_SECONDS`, and asked for anew before that while they are wanted. While it cannot be asked, nobody gets in.

Anybody can send tokens that nobody gave out, one after the other. They are reviewed a few at a time, so that the API
server is not flooded; and apart from everything else, so that HPAs and other replicas do not wait for them.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from workerpool_operator.serve.external_metrics import documents
from workerpool_operator.serve.external_metrics.documents import GROUP, VERSION, ApiError
from workerpool_operator.serve.external_metrics.identity import FrontProxy, Headers, User
from workerpool_operator.serve.external_metrics.remember import Remembered, Seen

Json = dict[str, Any]

REVIEW_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 5.0
"""How old an answer of the API server is when it is asked again, while its last one still counts."""
MAX_TOKENS: Final = 256
MAX_DECISIONS: Final = 4096
MAX_BAD_TOKENS: Final = 4096
GOOD_SECONDS: Final = 600.0
"""How long the owner of a good token is no stranger after a review."""
MAX_REVIEWS: Final = 8
"""Under way at once, of what callers who are known may do, and of their tokens."""
MAX_STRANGERS_REVIEWS: Final = 2
"""Under way at once, of tokens that were not good before."""
MAX_STRANGERS_WAITING: Final = 64
"""For one of these reviews. Who hangs up goes on waiting, as others may wait for the same answer."""

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


class NobodysTokenError(Exception):
    """The token is not valid, or names nobody."""


class Gate:
    """Lets a request through, or raises the ApiError to answer it with."""

    def __init__(self, reviews: Reviews, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviews = reviews
        self._turns = asyncio.Semaphore(MAX_REVIEWS)
        self._strangers_turns = asyncio.Semaphore(MAX_STRANGERS_REVIEWS)
        self._strangers_waiting = 0
        self._users = Remembered[bytes, User](
            seconds=REVIEW_SECONDS, limit=MAX_TOKENS, renew_after=RENEW_SECONDS, clock=clock
        )
        self._good = Seen[bytes](seconds=GOOD_SECONDS, limit=MAX_TOKENS, clock=clock)
        self._bad = Seen[bytes](seconds=REVIEW_SECONDS, limit=MAX_BAD_TOKENS, clock=clock)
        self._decisions = Remembered[tuple[User, Access], bool](
            seconds=REVIEW_SECONDS, limit=MAX_DECISIONS, renew_after=RENEW_SECONDS, clock=clock
        )

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
        if digest in self._bad:
            return None
        try:
            return await self._users.get(digest, lambda: self._owner(token, digest))
        except NobodysTokenError:
            return None
        except ApiError:
            raise
        except Exception as error:
            _log.warning("token_review_failed", error=str(error))
            raise documents.unavailable("tokens cannot be reviewed at the moment") from error

    async def _owner(self, token: str, digest: bytes) -> User:
        info = await (self._review(token) if digest in self._good else self._review_strangers(token))
        user = User.of(info) if info else None
        if user is None:
            self._bad.add(digest)
            raise NobodysTokenError
        self._good.add(digest)
        return user

    async def _review(self, token: str) -> Json | None:
        async with self._turns:
            return await self._reviews.user_info(token)

    async def _review_strangers(self, token: str) -> Json | None:
        if self._strangers_waiting >= MAX_STRANGERS_WAITING:
            raise documents.unavailable("too many tokens are to be reviewed at the moment")
        self._strangers_waiting += 1
        try:
            await self._strangers_turns.acquire()
        finally:
            self._strangers_waiting -= 1
        try:
            return await self._reviews.user_info(token)
        finally:
            self._strangers_turns.release()

    async def _decide(self, user: User, access: Access) -> bool:
        about = {"user": user.name, "groups": list(user.groups), "uid": user.uid}
        extra = {key: list(values) for key, values in user.extra}
        async with self._turns:
            return await self._reviews.allowed({**about, "extra": extra, **access.attributes()})
