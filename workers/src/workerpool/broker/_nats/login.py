"""Who we say we are to a NATS: a user with a password, a token, an nkey, or a user whose JWT an account has signed.

What a password alone is, is told by its form: a credentials file (`.creds`, as `nsc generate creds` writes it: JWT and
seed), the seed of a user's nkey, or else a token. What looks like one of the first two and is damaged is refused here:
a token is sent as it is, and a seed never leaves this process.

Why not by nats-py itself: of a file without a JWT it reads for ever, and the package that it signs with (nkeys) is not
published as a wheel. Its form of keys: https://docs.nats.io/reference/nats-protocol/nkeys
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from workerpool.errors import AuthenticationFailed

_SEED: Final = re.compile(r"S[A-Z2-7]{57}")
_JWT: Final = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s+-+END NATS USER JWT-+")
_FILES_SEED: Final = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\S+)\s+-+END USER NKEY SEED-+")
_USER: Final = 20 << 3
_SEED_OF_USER: Final = bytes([18 << 3 | _USER >> 5, (_USER & 31) << 3])
"""With what the 32 bytes of a user's seed begin; behind them stands their CRC-16, low byte first."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs what the server asks a client to sign at each connection."""

    public: str
    """The nkey, by which a server knows its users where they have no JWT."""
    sign: Callable[[str], bytearray] = field(repr=False)
    jwt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """At most one of the three: a user and a password, a token, a signer."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    signer: Signer | None = None


def login_of(username: str | None, password: str | None) -> Login:
    """From what stands in the credentials or the address.

    Raises:
        AuthenticationFailed: it cannot be what it looks like. The text does not repeat it.
    """
    alone = password or username or ""
    is_file = "-----BEGIN" in alone
    if username and password:
        if is_file:
            raise AuthenticationFailed("a credentials file says itself who it is for: leave the username out")
        return Login(username=username, password=password)
    if is_file:
        jwt, seed = _JWT.search(alone), _FILES_SEED.search(alone)
        if jwt is None or seed is None:
            raise AuthenticationFailed("this is no credentials file of NATS: it holds the JWT of a user and a seed")
        return Login(signer=_signer(seed[1], jwt=jwt[1]))
    if _SEED.fullmatch(alone):
        return Login(signer=_signer(alone))
    return Login(token=alone)


def _signer(seed: str, *, jwt: str = "") -> Signer:
    from nacl.signing import SigningKey  # noqa: PLC0415  few log in by a key, and it takes a tenth of a second

    key = SigningKey(_raw(seed))
    public = bytes([_USER]) + bytes(key.verify_key)
    return Signer(
        public=base64.b32encode(public + _crc(public)).decode(),
        sign=lambda nonce: bytearray(base64.b64encode(key.sign(nonce.encode()).signature)),
        jwt=jwt,
    )


def _raw(seed: str) -> bytes:
    try:
        whole = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error as error:
        raise AuthenticationFailed("the seed of the nkey is damaged") from error
    known, crc = whole[:-2], whole[-2:]
    if len(known) != 2 + 32 or crc != _crc(known):
        raise AuthenticationFailed("the seed of the nkey is damaged")
    if not known.startswith(_SEED_OF_USER):
        raise AuthenticationFailed("the seed is not that of a user: those begin with SU")
    return known[2:]


def _crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(2, "little")
