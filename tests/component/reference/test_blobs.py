"""The store behind HTTP: before the stand-in of the samples, and before a server that behaves badly."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reference_common import blobs
from reference_common.blobs import AsyncBlobs, HttpBlobs, MissingError, StoreError, TooLargeError
from reference_common.standin import StandIn

pytestmark = pytest.mark.component


@pytest.fixture
def store(standin: StandIn) -> Iterator[HttpBlobs]:
    with closing(HttpBlobs(standin.url)) as store:
        yield store


def test_of_many_writers_one_wins(store: HttpBlobs, standin: StandIn) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda number: store.put_new("a/b", f"{number}".encode()), range(32)))
    assert stored.count(True) == 1
    assert store.get("a/b") == str(stored.index(True)).encode()
    assert (standin.counts["PUT 201"], standin.counts["PUT 412"]) == (1, 31)
    assert standin.keys("a") == ["a/b"]


def test_what_is_not_there_is_told_apart_from_trouble(store: HttpBlobs) -> None:
    assert not store.has("a/b")
    with pytest.raises(MissingError):
        store.get("a/b")


async def test_the_event_loop_goes_on_while_the_store_is_asked(standin: StandIn) -> None:
    store = AsyncBlobs(HttpBlobs(standin.url))
    try:
        assert await store.put_new("a", b"1")
        assert await store.has("a")
        assert not await store.put_new("a", b"2")
    finally:
        store.close()


class _Broken(BaseHTTPRequestHandler):
    """Answers with the status that the path names; `cut` ends the connection in the middle of an answer."""

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.send_response(200 if name == "cut" else int(name))
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"half")

    do_HEAD = do_PUT = do_GET  # noqa: N815  http.server's own names

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002  its own name for it
        """Nothing."""


@pytest.fixture
def broken() -> Iterator[HttpBlobs]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with closing(HttpBlobs(f"http://127.0.0.1:{server.server_address[1]}")) as store:
            yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [301, 403, 409, 500, 503])
def test_an_answer_that_says_neither_yes_nor_no_fails_the_attempt(broken: HttpBlobs, status: int) -> None:
    with pytest.raises(StoreError, match=str(status)):
        broken.has(str(status))
    with pytest.raises(StoreError, match=str(status)):
        broken.get(str(status))
    with pytest.raises(StoreError, match=str(status)):
        broken.put_new(str(status), b"1")


def test_a_half_is_not_taken_for_an_object(broken: HttpBlobs) -> None:
    with pytest.raises(StoreError):
        broken.get("cut")


def test_what_is_too_large_is_not_read_to_its_end(broken: HttpBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops at the bound, wherever the server would."""
    monkeypatch.setattr(blobs, "MAX_BYTES", 3)
    with pytest.raises(TooLargeError):
        broken.get("200")


def test_a_store_that_is_away_fails_the_attempt(standin: StandIn) -> None:
    with closing(HttpBlobs("http://127.0.0.1:1")) as away, pytest.raises(StoreError):
        away.has("a")
