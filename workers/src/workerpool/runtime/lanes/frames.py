"""What goes between the worker and a process of its cpu lane: pickled tuples behind their length.

Both ends are this package in the same version, over a socket that nobody else has: pickle is safe here.
"""

import pickle
import struct
from typing import Any, Final

HEADER: Final = struct.Struct("!I")
PLAIN_FIELDS: Final = (
    "id",
    "type",
    "payload",
    "attempt",
    "queue",
    "checkpointed",
    "stream",
    "tenant",
    "priority",
    "ordering_key",
)
"""What of a `Job` goes over, in this order."""


def encode(message: tuple[Any, ...]) -> bytes:
    """A frame."""
    text = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(text)) + text


def decode(text: bytes) -> tuple[Any, ...]:
    """What is in a frame, without its header."""
    message: tuple[Any, ...] = pickle.loads(text)  # noqa: S301  see above
    return message
