"""What becomes of a fork of the worker that a handler made, without starting another program.

It has a copy of everything: the connections to the broker, the jobs in flight, the ports. It may run until its handler
awaits or returns; if the event loop then went on in it, two processes would take and settle jobs over one connection.
"""

import asyncio
import os
from typing import NoReturn


def end_forks_in(loop: asyncio.AbstractEventLoop) -> None:
    """From now on a fork of this process ends when it comes back to this loop. For a process with one loop."""

    def in_child() -> None:
        # A private name, the same in all of asyncio's own loops; in another loop forks are as before.
        selector = getattr(loop, "_selector", None)
        if selector is not None:
            selector.select = _end

    os.register_at_fork(after_in_child=in_child)


def _end(_timeout: float | None = None) -> NoReturn:
    os._exit(0)
