"""A sidecar for tests: answers on its pod's 127.0.0.1, and ends as soon as it is told to."""

from __future__ import annotations

from typing import Final

from e2e.support.kubectl import Json

NAME: Final = "beside"
PORT: Final = 9900
URL: Final = f"http://127.0.0.1:{PORT}/"
_PROGRAM: Final = f"""
import signal, sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("127.0.0.1", {PORT}), SimpleHTTPRequestHandler).serve_forever()
"""


def sidecar(image: str) -> Json:
    """An entry of `spec.worker.sidecars`. `image`: any with Python."""
    return {
        "name": NAME,
        "image": image,
        "command": ["python", "-c", _PROGRAM],
        "resources": {"requests": {"cpu": "10m", "memory": "24Mi"}},
    }
