"""A handler that needs nothing that is not there already."""

import os

from workerpool import Job

held: list[int] = []


def use_up_files(job: Job) -> None:
    """Open files until no more can be had; the first one it needs."""
    held.append(os.open(os.devnull, os.O_RDONLY))
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return
