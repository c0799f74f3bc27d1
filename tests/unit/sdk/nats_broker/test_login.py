"""What a password alone is, is told by its form; what is damaged is sent to nobody."""

import base64

import pytest
from nacl.signing import VerifyKey

from tests.support.nats_accounts import Accounts, Key
from workerpool.broker._nats.login import Login, login_of
from workerpool.errors import AuthenticationFailed

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
"""With its key, from the documentation of NATS."""
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_a_user_and_a_password_are_what_they_are_even_if_they_look_like_a_seed() -> None:
    assert login_of("u", SEED) == Login(username="u", password=SEED)


@pytest.mark.parametrize("given", [(None, "t"), ("t", None), (None, "SUPER"), (None, SEED[:-1] + "a")])
def test_a_token_is_anything_else(given: tuple[str | None, str | None]) -> None:
    assert login_of(*given) == Login(token=given[0] or given[1] or "")
    assert login_of(None, None) == Login()


def test_a_seed_signs_and_has_its_public_key() -> None:
    signer = login_of(None, SEED).signer
    assert signer is not None
    assert (signer.public, signer.jwt) == (PUBLIC, "")
    VerifyKey(base64.b32decode(PUBLIC)[1:33]).verify(b"nonce", base64.b64decode(signer.sign("nonce")))


def test_a_credentials_file_has_both_its_jwt_and_its_seed() -> None:
    user = Key("user")
    text = Accounts().file(user=user)
    for written in (text, text.replace("\n", "\r\n"), text.strip()):
        signer = login_of(None, written).signer
        assert signer is not None
        assert (signer.public, signer.jwt) == (user.public, text.splitlines()[1])


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [
        (None, SEED[:-1] + "A", "damaged"),
        (None, "S" + "7" * 57, "damaged"),
        (None, Key("account").seed, "not that of a user"),
        (None, "-----BEGIN NATS USER JWT-----\nabc\n", "no credentials file"),
        (None, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----", "no credentials file"),
        (None, Accounts().file().replace("SEED", "SEAT"), "no credentials file"),
        ("me", Accounts().file(), "leave the username out"),
    ],
)
def test_what_is_damaged_is_refused_and_not_taken_for_a_token(username: str | None, password: str, words: str) -> None:
    with pytest.raises(AuthenticationFailed, match=words) as caught:
        login_of(username, password)
    assert password not in str(caught.value)


def test_nothing_of_a_login_shows() -> None:
    for login in (login_of("me", "secret"), login_of(None, "secret"), login_of(None, SEED)):
        assert not {word for word in ("secret", SEED) if word in repr(login)}
