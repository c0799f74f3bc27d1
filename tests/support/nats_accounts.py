"""Keys and JWTs of a NATS that knows its users by what accounts have signed: operator, account, users.

https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
"""

import base64
import binascii
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from nacl.signing import SigningKey

_SEED: Final = 18 << 3
_KINDS: Final = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_UNLIMITED: Final = {"subs": -1, "data": -1, "payload": -1}


@dataclass(frozen=True)
class Key:
    """Of an operator, an account or a user."""

    kind: str
    signing: SigningKey = field(default_factory=SigningKey.generate)

    @property
    def public(self) -> str:
        return _text(bytes([_KINDS[self.kind]]) + bytes(self.signing.verify_key))

    @property
    def seed(self) -> str:
        prefix = _KINDS[self.kind]
        return _text(bytes([_SEED | prefix >> 5, (prefix & 31) << 3]) + bytes(self.signing))


@dataclass(frozen=True)
class Accounts:
    """An operator with one account, which may use JetStream."""

    operator: Key = field(default_factory=lambda: Key("operator"))
    account: Key = field(default_factory=lambda: Key("account"))
    system: Key = field(default_factory=lambda: Key("account"))

    @property
    def settings(self) -> str:
        """Of the server's configuration."""
        operator = _jwt(self.operator, self.operator, {"type": "operator"})
        storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        limits = _UNLIMITED | storage | {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
        account = _jwt(self.operator, self.account, {"type": "account", "limits": limits})
        system = _jwt(self.operator, self.system, {"type": "account", "limits": limits | dict.fromkeys(storage, 0)})
        known = f"{self.account.public}: {account}, {self.system.public}: {system}"
        return (
            f"operator: {operator}\nsystem_account: {self.system.public}\n"
            f"resolver: MEMORY\nresolver_preload: {{ {known} }}"
        )

    def file(self, *, subjects: tuple[str, ...] = (), expires_in: float = 0, user: Key | None = None) -> str:
        """A user's credentials file; `subjects`: all that it may publish to, with what hears the answers."""
        key = user or Key("user")
        claims: dict[str, Any] = {"type": "user", **_UNLIMITED}
        claims |= {"pub": {"allow": list(subjects)}, "sub": {"allow": ["_INBOX.>"]}} if subjects else {}
        jwt = _jwt(self.account, key, claims, expires_in=expires_in)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{key.seed}\n------END USER NKEY SEED------\n"
        )


def _jwt(issuer: Key, subject: Key, claims: dict[str, Any], *, expires_in: float = 0) -> str:
    now = int(time.time())
    body: dict[str, Any] = {"iat": now, "iss": issuer.public, "sub": subject.public, "name": subject.kind}
    body["nats"] = claims | {"version": 2}
    if expires_in:
        body["exp"] = int(now + expires_in)
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
    signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
    return f"{signed}.{_url(issuer.signing.sign(signed.encode()).signature)}"


def _part(value: dict[str, Any]) -> str:
    return _url(json.dumps(value, separators=(",", ":")).encode())


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _text(data: bytes) -> str:
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")
