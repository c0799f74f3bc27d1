"""What kubelet asks: `/healthz`, 200 while the worker's own evidence is good, and `/ready`.

Kubelet asks for readiness once when the container has started, when no worker is up yet, and then only once per
period. So a worker that comes up would be seen as ready up to a period too late. Therefore the port is opened before
anything else is loaded, and `/ready` waits a moment for a worker that is about to be ready for the first time.
"""

import _socket
import threading
from typing import Final

from workerpool.runtime.evidence import Evidence
from workerpool.runtime.httpd import HttpThread, Page

HOLD_SECONDS: Final = 0.8
"""Shorter than any probe's timeout: Kubernetes knows none below 1 s."""
MOST_HELD: Final = 8
"""Requests that wait at a time; there is one kubelet, and whoever else asks gets the answer of the moment."""
_OK: Final = Page(200, b"ok\n")


class HealthServer:
    """Serves as soon as it is made.

    Attributes:
        evidence: What it answers by.
    """

    def __init__(
        self, port: int, *, hold_seconds: float = HOLD_SECONDS, listener: _socket.socket | None = None
    ) -> None:
        """Open the port, or take over the one that `listener` has opened.

        Raises:
            ConfigurationError: it is taken.
        """
        self.evidence = Evidence()
        self._hold_seconds = hold_seconds
        self._places = threading.BoundedSemaphore(MOST_HELD)
        self._http = HttpThread(
            port, {"/healthz": self._healthz, "/ready": self._ready}, name="health", listener=listener
        )
        self._http.start()

    @property
    def port(self) -> int:
        """The port in use."""
        return self._http.port

    def stop(self) -> None:
        """Answer those who wait, and then nobody."""
        self.evidence.drain()
        self._http.stop()

    def close_copy(self) -> None:
        """In a fork: the port is this process' own."""
        self._http.close_copy()

    def _healthz(self) -> Page:
        problem = self.evidence.problem()
        return Page(503, f"{problem}\n".encode()) if problem else _OK

    def _ready(self) -> Page:
        """200 when started and not draining."""
        if self.evidence.starting and self._places.acquire(blocking=False):
            try:
                self.evidence.wait_started(self._hold_seconds)
            finally:
                self._places.release()
        return _OK if self.evidence.ready else Page(503, b"starting or draining\n")
