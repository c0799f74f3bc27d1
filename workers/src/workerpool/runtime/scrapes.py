"""Metrics over HTTP."""

import threading

from workerpool.runtime.httpd import HttpThread, Page
from workerpool.telemetry.metrics import Metrics


class _LastFigures(Page):
    """A page that was begun when the last figures were there."""


class MetricsServer:
    """`/metrics`, and how often it was asked: a drained worker stays until its last figures were read."""

    def __init__(self, port: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting = False
        self._scraped = threading.Event()
        self._http = HttpThread(port, {"/metrics": self._page}, name="metrics", answered=self._answered)

    def _page(self) -> Page:
        from workerpool.telemetry import exposition  # noqa: PLC0415  see there: not before somebody asks

        kind = _LastFigures if self._waiting else Page
        return kind(200, exposition.render(self._metrics), exposition.CONTENT_TYPE)

    def _answered(self, page: Page) -> None:
        if isinstance(page, _LastFigures):
            self._scraped.set()

    @property
    def port(self) -> int:
        """The port in use."""
        return self._http.port

    def start(self) -> None:
        """Answer from now on."""
        self._http.start()

    def wait_scraped(self, seconds: float) -> bool:
        """Blocks until the next scrape, at most so long; whether it came."""
        self._waiting = True
        return self._scraped.wait(seconds)

    def stop(self) -> None:
        """Answer no more."""
        self._http.stop()

    def close_copy(self) -> None:
        """In a fork: the port is this process' own."""
        self._http.close_copy()
