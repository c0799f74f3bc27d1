"""Whether a worker is who it says: its projected token, checked against the cluster's signing keys.

No TokenReview: that right would have to be given to every namespace. The keys are public; they are read again when a
token names one that is not known, at most every few seconds.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import jwt
import structlog
from aiohttp import ClientError

from workerpool.protocol import TOKEN_AUDIENCE
from workerpool_operator.collector.kubeapi import ApiClient

REREAD_SECONDS: Final = 5.0
LEEWAY_SECONDS: Final = 30
ALGORITHMS: Final = ("RS256", "ES256", "ES384", "ES512")

_log = structlog.get_logger(__name__)


class TokenRefusedError(Exception):
    """The token does not prove that its bearer is a worker of this namespace; the text says why."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The pod that a token was made for."""

    pod: str
    uid: str


class TokenVerifier:
    """Verifies workers' tokens."""

    def __init__(self, api: ApiClient, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._keys: dict[str, jwt.PyJWK] = {}
        self._issuer = ""
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> Bearer:
        """Who bears this token. Raises TokenRefusedError."""
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
        except jwt.InvalidTokenError as error:
            raise TokenRefusedError(f"not a token: {error}") from None
        key = await self._key(kid)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=TOKEN_AUDIENCE,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise TokenRefusedError(str(error)) from None
        return self._bearer(claims)

    def _bearer(self, claims: dict[str, Any]) -> Bearer:
        bound = claims.get("kubernetes.io") or {}
        if bound.get("namespace") != self._namespace:
            raise TokenRefusedError("the token is of another namespace")
        pod = bound.get("pod") or {}
        if not pod.get("name") or not pod.get("uid"):
            raise TokenRefusedError("the token is not bound to a pod")
        return Bearer(pod=pod["name"], uid=pod["uid"])

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys:
            async with self._lock:
                if kid not in self._keys and time.monotonic() - self._read_at >= REREAD_SECONDS:
                    await self._read_keys()
        if kid not in self._keys:
            raise TokenRefusedError("the token is signed by a key that the cluster does not name")
        return self._keys[kid]

    async def _read_keys(self) -> None:
        self._read_at = time.monotonic()
        try:
            configuration = await self._api.get_json("/.well-known/openid-configuration")
            document = await self._api.get_json("/openid/v1/jwks")
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning("signing_keys_not_read", error=str(error) or type(error).__name__)
            return
        self._issuer = configuration["issuer"]
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id}
