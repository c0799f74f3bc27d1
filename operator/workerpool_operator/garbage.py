"""Python's garbage collector, for processes that are to answer at any moment: it stops everything while it looks."""

import gc
from typing import Final

THRESHOLDS: Final = (10_000, 10, 5)
"""The last makes a full pass of every fifty young ones; where much is stored Python makes fewer, not before a quarter
of it has been added. Each pass keeps what is just under way, which becomes garbage in circles (kopf makes each event a
body that knows itself), and with a tenth of the full passes megabytes of that stood before one came."""


def calm() -> None:
    """Have it stop the process seldom; due once everything is imported.

    What was imported stays, so it is no longer looked at: each full pass over it took 0.15 s. With a thousand pools
    the passes over what is stored took 0.1 to 0.3 s, every few seconds while pools change: Python counts what was
    replaced as if it were garbage in circles, of which there is little.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
