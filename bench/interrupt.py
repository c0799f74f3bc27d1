"""Ending a measurement by a signal, with all that it has started."""

from __future__ import annotations

import signal


def end_at_first_signal() -> None:
    """Have the first Ctrl-C, or SIGTERM, raise KeyboardInterrupt, and ignore all others.

    Ctrl-C comes more than once, from the terminal and from who started this: ending is not to be broken off.
    """
    signals = (signal.SIGINT, signal.SIGTERM)

    def end(*_: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    for one in signals:
        signal.signal(one, end)
