"""A drained worker stays for the scrape that reads its last figures."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

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
