"""How a worker that was started as a child ends with who started it, however that ended."""

import os
import sys
import threading


def end_with_the_driver() -> None:
    """Leave when nobody holds the other end of our standard input any more, even if it could not say so."""
    threading.Thread(target=_wait, name="leash", daemon=True).start()


def _wait() -> None:
    sys.stdin.read()
    os._exit(1)
