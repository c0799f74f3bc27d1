"""Health and metrics over HTTP, each on a thread of its own: they answer when the event loop does not."""

import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from workerpool.errors import ConfigurationError
from workerpool.runtime.evidence import Evidence
from workerpool.telemetry.metrics import Metrics

_SLOWEST_CLIENT_SECONDS: Final = 10
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    body: bytes
    content_type: str = _TEXT


class HttpThread:
    """A small HTTP server: GET, and nothing else, on the paths that it was given."""

    def __init__(
        self,
        port: int,
        pages: Mapping[str, Callable[[], Page]],
        *,
        name: str,
        answered: Callable[[str], None] = lambda _path: None,
    ) -> None:
        """Bind at once. `answered` is told each path whose page is on its way to the client, whole.

        Raises:
            ConfigurationError: the port is taken.
        """
        try:
            self._server = _Server(port, pages, answered)
        except OSError as error:
            raise ConfigurationError(f"port {port} for {name} cannot be opened: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"workerpool-{name}", daemon=True)

    @property
    def port(self) -> int:
        """The port in use: tells which one when 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more. Waits up to half a second for the thread."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, port: int, pages: Mapping[str, Callable[[], Page]], answered: Callable[[str], None]) -> None:
        self.pages = pages
        self.answered = answered
        super().__init__(("", port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: it looks up the host's name, which may take seconds.
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SLOWEST_CLIENT_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self.server.pages.get(path)
        answer = page() if page else Page(404, b"not found\n")
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.server.answered(path)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Probes every few seconds are no news."""


def health_server(port: int, evidence: Evidence) -> HttpThread:
    """`/healthz`: 200 while the worker's own evidence is good. `/ready`: 200 when started and not draining."""

    def healthz() -> Page:
        problem = evidence.problem()
        return Page(503, f"{problem}\n".encode()) if problem else Page(200, b"ok\n")

    def ready() -> Page:
        return Page(200, b"ok\n") if evidence.ready else Page(503, b"starting or draining\n")

    return HttpThread(port, {"/healthz": healthz, "/ready": ready}, name="health")


class MetricsServer:
    """`/metrics`, and how often it was asked: a drained worker stays until its last figures were read."""

    def __init__(self, port: int, metrics: Metrics) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(metrics)
        self._scraped = threading.Event()
        self._http = HttpThread(port, {"/metrics": self._page}, name="metrics", answered=self._answered)

    def _page(self) -> Page:
        return Page(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)

    def _answered(self, path: str) -> None:
        if path == "/metrics":
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
        self._scraped.clear()
        return self._scraped.wait(seconds)

    def stop(self) -> None:
        """Answer no more."""
        self._http.stop()
