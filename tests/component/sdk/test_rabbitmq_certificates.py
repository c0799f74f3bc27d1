"""A client certificate that says who one is to RabbitMQ, in place of a name and a password (EXTERNAL)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.sdk.test_rabbitmq_tls import told
from tests.support.authority import Authority
from tests.support.rabbitmq import RabbitServer
from workerpool import broker as brokers
from workerpool.broker import Credentials, NewJob
from workerpool.errors import AuthenticationFailed, TLSFailed

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

WANTS_ONE = {"ssl_options.verify": "verify_peer", "ssl_options.fail_if_no_peer_cert": "true"}


def serving(folder: Path, authority: Authority, *, offers_external: bool) -> RabbitServer:
    """One that wants a client certificate; by its common name it knows `resizer`."""
    return RabbitServer(
        folder,
        tls={"cacertfile": authority.ca, "certfile": authority.cert, "keyfile": authority.key},
        options=WANTS_ONE
        | {"auth_mechanisms.1": "PLAIN"}
        | ({"auth_mechanisms.2": "EXTERNAL", "ssl_cert_login_from": "common_name"} if offers_external else {}),
        plugins=["rabbitmq_auth_mechanism_ssl"] if offers_external else [],
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RabbitServer]:
    one = serving(tmp_path_factory.mktemp("rabbitmq"), authority, offers_external=True)
    one.allow("resizer", "not told to anybody", only=r"^thumbs(\..*)?$", write=r"^thumbs(\..*)?$|^amq.default$")
    with one:
        yield one


def shown(authority: Authority, files: tuple[Path, Path], **more: Path) -> Credentials:
    return Credentials(ca_file=authority.ca, cert_file=files[0], key_file=files[1], **more)


async def test_a_certificate_alone_says_which_user_one_is(server: RabbitServer, authority: Authority) -> None:
    broker = brokers.connect(server.url, stream="thumbs", credentials=shown(authority, authority.certify("resizer")))
    await broker.put([NewJob("t", b"1")])
    [job] = await broker.take(limit=1, wait=5)
    assert not await broker.ack([job])
    assert "resizer" in server.ctl("list_connections", "user")
    await broker.close()


async def test_a_certificate_of_somebody_it_does_not_know(server: RabbitServer, authority: Authority) -> None:
    error = await told(server, shown(authority, authority.certify("stranger")))
    assert isinstance(error, AuthenticationFailed)
    assert "the client certificate is of no user that it knows" in str(error)


async def test_a_user_by_certificate_has_the_rights_of_that_user(server: RabbitServer, authority: Authority) -> None:
    error = await told(server, shown(authority, authority.certify("resizer", file="again")))
    assert isinstance(error, AuthenticationFailed)
    assert "access to queue 'jobs'" in str(error)


@pytest.mark.parametrize("expired", [False, True], ids=["of another authority", "that has expired"])
async def test_a_certificate_that_it_does_not_accept(
    server: RabbitServer, authority: Authority, tmp_path: Path, *, expired: bool
) -> None:
    issuer = authority if expired else Authority(tmp_path / "other")
    error = await told(server, shown(authority, issuer.certify("resizer", file="wrong", expired=expired)))
    assert isinstance(error, TLSFailed)


async def test_a_name_and_a_password_win_over_the_certificate(
    server: RabbitServer, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "username").write_text("guest")
    (tmp_path / "password").write_text("wrong")
    files = {"username_file": tmp_path / "username", "password_file": tmp_path / "password"}
    error = await told(server, shown(authority, authority.certify("resizer", file="both"), **files))
    assert isinstance(error, AuthenticationFailed)
    assert "mechanism PLAIN" in str(error)
    (tmp_path / "password").write_text("guest")
    broker = brokers.connect(server.url, stream="jobs", credentials=shown(authority, authority.certify("b"), **files))
    assert (await broker.depth()).waiting == 0
    await broker.close()


async def test_where_certificates_name_nobody_one_is_the_default_user(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path, authority, offers_external=False) as server:
        files = shown(authority, authority.certify("resizer", file="plain"))
        broker = brokers.connect(server.url, stream="jobs", credentials=files)
        await broker.put([NewJob("t", b"1")])
        assert "guest" in server.ctl("list_connections", "user")
        await broker.close()
