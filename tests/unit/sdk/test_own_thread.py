"""What blocks is called in threads of the runtime's own: the event loop's few belong to handlers."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from workerpool._own_thread import Found, Lookup, in_own_thread
from workerpool.broker._redis.resp import RespConnection


class Names:
    """Stands for the resolver, which answers when it is told to."""

    def __init__(self, *addresses: str) -> None:
        self.asked = 0
        self.answer = threading.Event()
        self.addresses = addresses

    def __call__(self, host: str, port: object, **_named: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        assert self.answer.wait(20), "nobody lets it answer"
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names("127.0.0.2", "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.answer.set()


@pytest_asyncio.fixture
async def full() -> AsyncIterator[None]:
    """The loop's own threads are all taken."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(over.wait)
        try:
            yield
        finally:
            over.set()


@asynccontextmanager
async def a_server() -> AsyncIterator[int]:
    """A port of 127.0.0.1 that says PONG."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            writer.write(b"+PONG\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_it_returns_and_raises_what_the_call_does() -> None:
    assert await in_own_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_own_thread(divmod, 7, 0)


async def test_who_is_cancelled_leaves_the_call_behind(names: Names) -> None:
    call = asyncio.create_task(in_own_thread(names, "host", None))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    names.answer.set()
    assert await in_own_thread(names, "host", None)


async def test_no_more_threads_is_an_error_like_others_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="can't start new thread"):
            await in_own_thread(divmod, 7, 2)


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("fe80::1", socket.AF_INET6)]
)
async def test_an_address_is_not_looked_up(names: Names, host: str, family: socket.AddressFamily) -> None:
    assert await Lookup(host).addresses() == [Found(family, host)]
    assert names.asked == 0


async def test_a_lookup_that_is_given_up_again_and_again_takes_one_thread(names: Names) -> None:
    lookup = Lookup("redis")
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await lookup.addresses()
    names.answer.set()
    assert [found.host for found in await lookup.addresses()] == ["127.0.0.2", "127.0.0.1"]
    assert names.asked == 1
    await lookup.addresses()
    assert names.asked == 2, "what was found before may have moved"


async def test_a_name_that_is_not_known_is_asked_for_again(names: Names) -> None:
    names.addresses = ()
    names.answer.set()
    lookup = Lookup("redis")
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await lookup.addresses()
    assert names.asked == 2


async def test_redis_is_found_by_its_name_while_handlers_have_all_threads_of_the_loop(names: Names, full: None) -> None:
    """The second address is its own, where the first refuses."""
    names.answer.set()
    async with a_server() as port, asyncio.timeout(20):
        connection = await RespConnection.open(Lookup("redis"), port, tls=None)
        assert await connection.call("PING") == b"PONG"
        connection.close()
        await asyncio.sleep(0)


async def test_where_no_address_can_be_had_all_are_named(names: Names) -> None:
    names.answer.set()
    async with a_server() as port:
        pass
    with pytest.raises(OSError, match=r"127\.0\.0\.2.*127\.0\.0\.1"):
        await RespConnection.open(Lookup("redis"), port, tls=None)
