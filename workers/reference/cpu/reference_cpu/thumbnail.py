"""Job type `thumbnail`: read a picture from the store, make it small, put it back.

What comes out depends on the job alone, and is stored under the job's id if nothing is there yet. So a job may run
twice (its process was killed, its worker died before the acknowledgement) and still there is one object, written once.

It reads and writes in the process that computes: with a store nearby that is a small part of a job. Sources that are
far away are another worker's work, see `reference_hybrid`.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final

from reference_common.blobs import BadKeyError, Blobs, TooLargeError, checked_key, key_for, open_blobs
from workerpool import Job, RejectJob

TIMEOUT_SECONDS: Final = 30.0
FOLDER: Final = "thumbnails"
DEFAULT_SIDE: Final = 320
MAX_SIDE: Final = 2048


@dataclass(frozen=True, slots=True)
class Wish:
    """The payload."""

    source: str
    width: int
    height: int

    @classmethod
    def parse(cls, payload: Any) -> "Wish":
        """Check the payload.

        Raises:
            RejectJob: no attempt can succeed with it.
        """
        if not isinstance(payload, dict) or not isinstance(payload.get("source"), str):
            raise RejectJob('the payload must name a picture, such as {"source": "originals/17.jpg", "width": 320}')
        width: Any = payload.get("width", DEFAULT_SIDE)
        height: Any = payload.get("height", width)
        if not (_is_side(width) and _is_side(height)):
            raise RejectJob(f"width and height must be whole numbers from 1 to {MAX_SIDE}")
        try:
            return cls(checked_key(payload["source"]), width, height)
        except BadKeyError as error:
            raise RejectJob(str(error)) from error


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_SIDE


def thumbnail(job: Job) -> None:
    """Make the thumbnail that the payload asks for, unless an attempt before has made it."""
    wish, blobs, target = Wish.parse(job.payload), _blobs(), key_for(FOLDER, job, ".jpg")
    if blobs.has(target):
        return
    try:
        source = blobs.get(wish.source)
    except TooLargeError as error:
        raise RejectJob(str(error)) from error
    from .draw import draw  # noqa: PLC0415  the worker's own process never draws, so it does without Pillow

    blobs.put_new(target, draw(source, width=wish.width, height=wish.height))


@functools.cache
def _blobs() -> Blobs:
    """One client for each process, made when its first job comes: a cpu lane's jobs have no `job.context`."""
    return open_blobs()
