"""Whether an observed object still is what it should be."""

from collections.abc import Mapping
from typing import Any


def covers(observed: Any, desired: Any) -> bool:
    """Whether every field of `desired` stands in `observed` with the same value.

    What the API server or others add (defaults, status, their own fields) does not count. A list is compared item by
    item: its length is part of what was desired. Absent, null and empty are one: the API server drops empty values.
    """
    if isinstance(desired, Mapping):
        if not isinstance(observed, Mapping):
            return not desired and observed is None
        return all(covers(observed.get(key), value) for key, value in desired.items())
    if isinstance(desired, list | tuple):
        if not isinstance(observed, list | tuple):
            return not desired and observed is None
        return len(observed) == len(desired) and all(map(covers, observed, desired))
    if desired is None or observed is None:
        return (observed or None) is (desired or None) or observed == desired
    return bool(observed == desired)
