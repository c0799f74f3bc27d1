"""A small HTTP server on a thread of its own: it answers when the event loop does not.

Why not http.server: it loads the packages http and email, a tenth of what it costs to start a worker, to do more than
answer a few paths.
"""

import _socket
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from workerpool._early import listen
from workerpool.errors import ConfigurationError

_SLOWEST_CLIENT_SECONDS: Final = 10
_LONGEST_LINE: Final = 8192
_MOST_HEADERS: Final = 100
_TEXT: Final = "text/plain; charset=utf-8"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Page(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    content_type: str = _TEXT


class HttpThread:
    """Answers GET, and nothing else, on the paths that it was given; each request on a thread of its own."""

    def __init__(
        self,
        port: int,
        pages: Mapping[str, Callable[[], Page]],
        *,
        name: str,
        listener: _socket.socket | None = None,
        answered: Callable[[Page], None] = lambda _page: None,
    ) -> None:
        """Listen at once, unless `listener` does so already: it is taken over.

        `answered` is told each page that is on its way to the client, whole.

        Raises:
            ConfigurationError: the port is taken.
        """
        try:
            self._server = _Server(listener or listen(port), pages, answered)
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

    def close_copy(self) -> None:
        """In a fork, which has a copy of the port and no thread that answers."""
        self._server.socket.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(
        self, listener: _socket.socket, pages: Mapping[str, Callable[[], Page]], answered: Callable[[Page], None]
    ) -> None:
        self.pages = pages
        self.answered = answered
        # Not that of TCPServer, which opens a socket of its own.
        socketserver.BaseServer.__init__(self, listener.getsockname(), _Handler)
        self.socket = socket.socket(fileno=listener.detach())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""


class _Handler(socketserver.StreamRequestHandler):
    """One request of a connection, which is closed after it."""

    server: _Server
    timeout = _SLOWEST_CLIENT_SECONDS

    def handle(self) -> None:
        """Read, answer."""
        match self._read():
            case [b"GET", target]:
                answer = self._page(target.partition(b"?")[0].decode("latin-1"))
            case [_, _]:
                answer = Page(405, b"only GET\n")
            case _:
                answer = Page(400, b"not a request\n")
        head = (
            f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(head.encode("latin-1") + answer.body)
        self.server.answered(answer)

    def _page(self, path: str) -> Page:
        page = self.server.pages.get(path)
        if page is None:
            return Page(404, b"not found\n")
        try:
            return page()
        except Exception as error:  # noqa: BLE001  whatever it is, the next one who asks may have more luck
            from workerpool.telemetry.logs import Log  # noqa: PLC0415  not before there is something to say

            Log().error("a page cannot be made", path=path, exc_info=error)
            return Page(500, b"this page cannot be made, the log says why\n")

    def _read(self) -> list[bytes]:
        """Method and target of a request; empty when it is none. What its headers say makes no difference."""
        words = self.rfile.readline(_LONGEST_LINE).split()
        for _ in range(_MOST_HEADERS):
            line = self.rfile.readline(_LONGEST_LINE)
            if line in {b"\r\n", b"\n"}:
                return words[:2] if len(words) == 3 and words[2].startswith(b"HTTP/") else []  # noqa: PLR2004
            if not line.endswith(b"\n"):
                break
        return []
