"""Python's garbage collector, for processes that are to answer at any moment: it stops everything while it looks."""

import gc
from typing import Final

THRESHOLDS: Final = (10_000, 10, 50)


def calm() -> None:
    """Have it stop the process seldom; due once everything is imported.

    What was imported stays, so it is no longer looked at: each full pass over it took 0.15 s. With a thousand pools
    the passes over what is stored took 0.1 to 0.3 s, every few seconds while pools change: Python counts what was
    replaced as if it were garbage in circles, of which there is little.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
