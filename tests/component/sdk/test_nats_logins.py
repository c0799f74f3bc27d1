"""Users of a NATS by what an account has signed for them, and by their keys: both ends, against a real server."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.component.sdk.test_nats_failures import Open, answers, open_one, secret, works
from tests.support.nats import NatsServer
from tests.support.nats_accounts import Accounts, Key
from tests.support.waiting import until
from workerpool.broker import NewJob
from workerpool.errors import AuthenticationFailed, BrokerError
from workerpool_operator.collector.sources import connect_from

pytestmark = [pytest.mark.component, pytest.mark.nats]

__all__ = ["open_one"]  # a fixture


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, accounts: Accounts) -> Iterator[NatsServer]:
    """One that knows its operator and an account, and no user by name."""
    with NatsServer(tmp_path_factory.mktemp("nats"), settings=accounts.settings) as one:
        yield one


async def test_a_credentials_file_lets_in_whom_the_account_has_signed_for(
    open_one: Open, server: NatsServer, accounts: Accounts, tmp_path: Path
) -> None:
    await works(open_one(server.url, credentials=secret(tmp_path, password=accounts.file())))


async def test_a_jwt_says_what_its_user_may_do(
    open_one: Open, server: NatsServer, accounts: Accounts, tmp_path: Path
) -> None:
    text = accounts.file(subjects=("$JS.API.STREAM.INFO.*",))
    broker = open_one(server.url, credentials=secret(tmp_path, password=text), stream="other")
    assert (await broker.depth()).waiting == 0
    with pytest.raises(AuthenticationFailed, match=r"stream\.create"):
        await broker.put([NewJob(type="t", payload=b"1")])


@pytest.mark.parametrize("kind", ["of an account that nobody knows", "expired", "with the seed of somebody else"])
async def test_a_credentials_file_that_does_not_let_in(
    open_one: Open, server: NatsServer, accounts: Accounts, tmp_path: Path, kind: str
) -> None:
    text = {
        "of an account that nobody knows": Accounts().file(),
        "expired": accounts.file(expires_in=-60),
        "with the seed of somebody else": accounts.file().split("*")[0] + accounts.file().partition("*")[2],
    }[kind]
    with pytest.raises(AuthenticationFailed):
        await open_one(server.url, credentials=secret(tmp_path, password=text)).depth()
    with pytest.raises(AuthenticationFailed):
        await open_one(server.url).depth()


async def test_the_next_file_is_read_when_the_jwt_has_expired(
    open_one: Open, server: NatsServer, accounts: Accounts, tmp_path: Path
) -> None:
    """The server ends the connection; until there is another file, one is told why."""
    ends = time.time() + 10  # long enough for it to work before, however slow this machine is
    broker = open_one(server.url, credentials=secret(tmp_path, password=accounts.file(expires_in=10)), stream="ends")
    await works(broker)

    async def refused() -> bool:
        try:
            await broker.depth()
        except BrokerError as error:  # the call that was under way only learns that the connection was ended
            return isinstance(error, AuthenticationFailed)
        return False

    await until(refused, what="the end of the JWT")
    assert time.time() >= ends - 1, "its time is in whole seconds"
    secret(tmp_path, password=accounts.file())
    await until(lambda: answers(broker), what="an answer with the next file")
    await works(broker)


async def test_an_nkey_lets_in_who_holds_its_seed(open_one: Open, tmp_path: Path) -> None:
    ours, other = Key("user"), Key("user")
    with NatsServer(tmp_path, settings=f"authorization {{ users: [{{nkey: {ours.public}}}] }}") as server:
        await works(open_one(server.url, credentials=secret(tmp_path, password=ours.seed)))
        with pytest.raises(AuthenticationFailed):
            await open_one(server.url, credentials=secret(tmp_path, password=other.seed)).depth()


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> Path:
    """What the collector mounts for the queue `main` of the pool `web`."""
    found = tmp_path / "web" / "main"
    found.mkdir(parents=True)
    return found


async def test_the_collector_reads_a_queue_by_a_credentials_file(
    open_one: Open, server: NatsServer, accounts: Accounts, tmp_path: Path, folder: Path
) -> None:
    worker = open_one(server.url, credentials=secret(tmp_path, password=accounts.file()), stream="read")
    await worker.put([NewJob(type="t", payload=b"1")] * 3)
    (folder / "password").write_text(accounts.file())
    where = {"url": server.url, "stream": "read", "consumer": "g"}
    named = {"password": {"secretKeyRef": {"name": "nats", "key": "worker.creds"}}}
    source = connect_from(tmp_path)("web", {"name": "main", "natsJetStream": where, "credentials": named})
    assert (await source.depth()).waiting == 3
    await source.close()
