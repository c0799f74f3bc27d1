"""Whether an observed object still is what it should be."""

from collections.abc import Mapping
from typing import Any


def covers(observed: Any, desired: Any) -> bool:
    """Whether every field of `desired` stands in `observed` with the same value.

    What the API server or others add (defaults, status, their own fields) does not count. A list is compared item by
    item: its length is part of what was desired. Absent, null and empty are one: the API server drops empty values.
    """
    if observed == desired:  # in C: most of an object is as it should be, and this is asked of every child each time
        return True
    if isinstance(desired, Mapping):
        fields = {} if observed is None else observed
        return isinstance(fields, Mapping) and all(covers(fields.get(key), value) for key, value in desired.items())
    if isinstance(desired, list | tuple):
        items = () if observed is None else observed
        return isinstance(items, list | tuple) and len(items) == len(desired) and all(map(covers, items, desired))
    if desired is None or observed is None:
        return not desired and not observed
    return False
