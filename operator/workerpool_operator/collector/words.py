"""What of a worker's words goes up: one that says more than this must not cost the others theirs."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Final

_SHORT: Final = 64
_LONG: Final = 253
"""Characters."""
_MOST_QUEUES: Final = 64


def short(text: str) -> str:
    """Its beginning, of an id."""
    return text[:_SHORT]


def long(text: str) -> str:
    """Its beginning, of a reason."""
    return text[:_LONG]


def shortened(troubles: Mapping[str, str]) -> dict[str, str]:
    """The first of them."""
    return {long(queue): long(why) for queue, why in islice(troubles.items(), _MOST_QUEUES)}


def finite(number: float | None) -> float | None:
    """The number; None: it is none that JSON could hold."""
    return number if number is not None and math.isfinite(number) else None
