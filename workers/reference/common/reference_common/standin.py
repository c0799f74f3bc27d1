"""A server to try the workers with: a store for `BLOBS_URL`, a site to download from, and a receiver of calls.

    python -m reference_common.standin --folder /tmp/store --port 8080

| Request | Answer |
|---|---|
| GET, HEAD of a key | the object, or 404 |
| PUT of a key with `If-None-Match: *` | 201, or 412 when it is there already: objects are never changed |
| POST of `/inbox?delay=0.2` with `Idempotency-Key: K` | 201, after so many seconds, and `inbox/K` is kept; else 200 |
| GET `/_keys/FOLDER` | the keys in this folder, a JSON list |
| GET `/_counts` | how often what was answered, such as `{"PUT 201": 3, "PUT 412": 1}` |

`samples/photo.png` is there from the start. It asks nobody who they are and keeps all that it gets: for trials and
tests, in a namespace of their own.
"""

import argparse
import json
import signal
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from .blobs import MAX_BYTES, BadKeyError, DirectoryBlobs, MissingError, TooLargeError, checked_key

MAX_DELAY_SECONDS: Final = 10.0
_WIDTH, _HEIGHT = 1600, 1200
_KEYS: Final = "_keys/"


class StandIn:
    """The server, in a thread of its own. `port` 0 chooses a free one."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = folder
        self.blobs = DirectoryBlobs(folder)
        self.blobs.put_new("samples/photo.png", sample(_WIDTH, _HEIGHT))
        self._answered: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, port), _Handler)
        self._server.daemon_threads = True
        setattr(self._server, "standin", self)  # noqa: B010  where a handler finds it
        self._thread = threading.Thread(target=self._server.serve_forever, name="standin", daemon=True)

    @property
    def url(self) -> str:
        """For this machine."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def counts(self) -> dict[str, int]:
        """How often what was answered, by method and status."""
        with self._lock:
            return dict(self._answered)

    def count(self, method: str, status: int) -> None:
        """One more answer."""
        with self._lock:
            self._answered[f"{method} {status}"] += 1

    def keys(self, folder: str) -> list[str]:
        """The keys in a folder, in order."""
        found = (self.folder / checked_key(folder)).glob("*")
        return sorted(f"{folder}/{path.name}" for path in found if path.is_file() and not path.name.startswith("."))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # of a client that says nothing

    @property
    def _standin(self) -> StandIn:
        found: StandIn = getattr(self.server, "standin")  # noqa: B009
        return found

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.removeprefix("/")
        if path == "_counts":
            self._answer(200, json.dumps(self._standin.counts).encode())
        elif path.startswith(_KEYS):
            self._within(lambda: self._answer(200, json.dumps(self._standin.keys(path.removeprefix(_KEYS))).encode()))
        else:
            self._within(lambda: self._answer(200, self._standin.blobs.get(path)))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.headers.get("If-None-Match") != "*":
            self._answer(428)
            return
        key = urlsplit(self.path).path.removeprefix("/")
        self._within(lambda: self._answer(201 if self._standin.blobs.put_new(key, body) else 412))

    def do_POST(self) -> None:
        body, parts = self._body(), urlsplit(self.path)
        if body is None:
            return
        if parts.path != "/inbox" or "Idempotency-Key" not in self.headers:
            self._answer(400)
            return
        time.sleep(min(MAX_DELAY_SECONDS, float(parse_qs(parts.query).get("delay", ["0"])[0])))
        key = f"inbox/{self.headers['Idempotency-Key']}"
        self._within(lambda: self._answer(201 if self._standin.blobs.put_new(key, body) else 200))

    def _within(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BadKeyError:
            self._answer(400)
        except MissingError:
            self._answer(404)
        except TooLargeError:
            self._answer(413)

    def _body(self) -> bytes | None:
        """What was sent; None: it was refused."""
        length = self.headers.get("Content-Length", "")
        if length.isdigit() and int(length) <= MAX_BYTES:
            return self.rfile.read(int(length))
        self.close_connection = True  # the rest of it is not read
        self._answer(413 if length.isdigit() else 411)
        return None

    def _answer(self, status: int, body: bytes = b"") -> None:
        self._standin.count(self.command, status)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002  its own name for it
        """Nothing: `/_counts` tells."""


def sample(width: int, height: int) -> bytes:
    """A picture as PNG: RGB, 8 bits, a colour gradient (RFC 2083)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = bytearray()
    for x in range(width):
        row += bytes((x * 255 // width, x % 256, 255 - x * 255 // width))
    rows = b"".join(b"\0" + row[(y % width) * 3 :] + row[: (y % width) * 3] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where objects are kept")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    with StandIn(arguments.folder, host=arguments.host, port=arguments.port):
        print("ready", flush=True)  # noqa: T201  what a program says
        stop.wait()


if __name__ == "__main__":
    main()
