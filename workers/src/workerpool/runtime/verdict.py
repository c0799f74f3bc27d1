"""What an attempt says about what its handler calls."""

from enum import Enum, auto


class Verdict(Enum):
    """How an attempt went, as guards see it."""

    DONE = auto()
    """The handler returned."""
    FAILED = auto()
    """It raised, or its process died."""
    SLOW = auto()
    """Its time was up."""
    NONE = auto()
    """Nothing: it was rejected, interrupted, handed back, or never began."""
