"""A drained worker stays for the scrape that reads its last figures."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from workerpool.runtime.scrapes import MetricsServer
from workerpool.telemetry import exposition
from workerpool.telemetry.metrics import Metrics


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer(0, Metrics(pool="p", version="v", slots={"io": 1}))
    server.start()
    yield server
    server.stop()


def scrape(server: MetricsServer) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=20).close()


def test_it_leaves_when_nobody_reads_them_in_time(server: MetricsServer) -> None:
    scrape(server)
    assert server.wait_scraped(0.01) is False, "that scrape was before the last figures were there"


def test_it_leaves_as_soon_as_they_were_read(server: MetricsServer) -> None:
    left = threading.Event()

    def wait() -> None:
        assert server.wait_scraped(60)
        left.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not left.wait(0.01):
        scrape(server)
    waiting.join()


def test_a_page_of_before_counts_for_nothing_however_late_it_reaches_who_asked(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although one with the last figures is under way meanwhile, to somebody who has not read it."""
    made = threading.Semaphore(0)

    def render(_metrics: Metrics) -> bytes:
        made.release()
        return bytes(32 * 1024 * 1024)  # more than waits on a connection unread

    monkeypatch.setattr(exposition, "render", render)
    with ask(server) as before:
        assert made.acquire(timeout=60)
        server.wait_scraped(0)
        with ask(server) as after:
            assert made.acquire(timeout=60)
            before.read()
            assert server.wait_scraped(0.1) is False
            after.read()
            assert server.wait_scraped(60)


@contextmanager
def ask(server: MetricsServer) -> Iterator[BinaryIO]:
    """A scrape whose answer is not read yet."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        with connection.makefile("rb") as answer:
            yield answer


def test_a_scrape_that_fails_says_so_to_who_asks_and_in_the_log_and_was_none(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def render(_metrics: Metrics) -> bytes:
        raise KeyError("a bug")

    server.wait_scraped(0)
    monkeypatch.setattr(exposition, "render", render)
    with pytest.raises(urllib.error.HTTPError) as refused:
        scrape(server)
    refused.value.close()
    assert refused.value.code == 500
    [line] = [record for record in caplog.records if record.message == "a page cannot be made"]
    assert line.exc_info is not None
    assert server.wait_scraped(0.01) is False
