"""The connection to a PostgreSQL is encrypted, and who answers is verified, unless the URL says otherwise."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from e2e.cluster.pki import Authority, Pair
from tests.component.sdk.conftest import OpenPostgres
from tests.support.postgres import PostgresServer
from workerpool.broker import Credentials, NewJob
from workerpool.errors import AuthenticationFailed, CredentialsMissing, TLSFailed

pytestmark = [pytest.mark.component, pytest.mark.postgres]
JOB = NewJob(type="t", payload=b"1")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "pki").mkdir()
    return Authority(home=tmp_path / "pki", name="ca")


def tls_server(folder: Path, pair: Pair, authority: Authority) -> PostgresServer:
    folder.mkdir()
    for name, path in (("tls.crt", pair.cert), ("tls.key", pair.key), ("ca.crt", authority.pair.cert)):
        shutil.copy(path, folder / name)
        shutil.chown(folder / name, "postgres")
        (folder / name).chmod(0o600)
    files = {f"ssl_{kind}_file": str(folder / name) for kind, name in (("cert", "tls.crt"), ("key", "tls.key"))}
    settings = {"ssl": "on", "ssl_ca_file": str(folder / "ca.crt"), **files}
    return PostgresServer(folder, settings, hba="local all all trust\nhostssl all all 127.0.0.1/32 trust\n")


async def test_tls_verifies_the_authority_and_the_name(
    connect: OpenPostgres, authority: Authority, postgres_folder: Path, tmp_path: Path
) -> None:
    pair = authority.issue("postgres", common_name="postgres", hosts=["localhost"])
    (tmp_path / "other").mkdir()
    other = Authority(home=tmp_path / "other", name="other")
    with tls_server(postgres_folder / "tls", pair, authority) as server:
        by_name = f"postgresql://test@localhost:{server.port}/postgres"
        trusting = Credentials(ca_file=authority.pair.cert)
        broker = connect(by_name, credentials=trusting)
        await broker.put([JOB])
        assert len(await broker.take(limit=1, wait=1)) == 1
        with pytest.raises(TLSFailed, match=r"issuer|authority|self-signed"):
            await connect(by_name, credentials=Credentials(ca_file=other.pair.cert)).depth()
        with pytest.raises(TLSFailed):
            await connect(by_name).depth()
        with pytest.raises(TLSFailed, match=r"127\.0\.0\.1"):
            await connect(
                by_name.replace("localhost", "127.0.0.1"), credentials=Credentials(ca_file=authority.pair.cert)
            ).depth()
        with pytest.raises(AuthenticationFailed, match="no encryption"):
            await connect(f"{by_name}?sslmode=disable").depth()
        with pytest.raises(CredentialsMissing, match="no-ca"):
            await connect(by_name, credentials=Credentials(ca_file=tmp_path / "no-ca.crt")).depth()


async def test_an_expired_certificate_is_named(
    connect: OpenPostgres, authority: Authority, postgres_folder: Path
) -> None:
    pair = authority.issue("postgres", common_name="postgres", hosts=["localhost"], life=timedelta(minutes=-1))
    with tls_server(postgres_folder / "tls", pair, authority) as server:
        url = f"postgresql://test@localhost:{server.port}/postgres"
        with pytest.raises(TLSFailed, match="expired"):
            await connect(url, credentials=Credentials(ca_file=authority.pair.cert)).depth()


async def test_a_client_certificate_is_shown(
    connect: OpenPostgres, authority: Authority, postgres_folder: Path
) -> None:
    pair = authority.issue("postgres", common_name="postgres", hosts=["localhost"])
    mine = authority.issue("test", common_name="test")
    with tls_server(postgres_folder / "tls", pair, authority) as server:
        (server.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 cert\nlocal all all trust\n")
        server.stop()
        server.start()
        url = f"postgresql://test@localhost:{server.port}/postgres"
        with pytest.raises(AuthenticationFailed, match="certificate"):
            await connect(url, credentials=Credentials(ca_file=authority.pair.cert)).depth()
        files = Credentials(ca_file=authority.pair.cert, cert_file=mine.cert, key_file=mine.key)
        await connect(url, credentials=files).depth()


async def test_tls_to_a_server_without_tls_is_told_what_to_write(
    connect: OpenPostgres, postgres_server: PostgresServer
) -> None:
    with pytest.raises(TLSFailed, match="sslmode=disable"):
        await connect(postgres_server.address).depth()
