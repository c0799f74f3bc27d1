"""Which namespaces an operator looks after, as the chart writes it for it: `name,name`."""

import re
from typing import Final

VARIABLE: Final = "WATCH_NAMESPACES"
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def watched(text: str) -> tuple[str, ...]:
    """The names, each once; none: all namespaces.

    Raises:
        ValueError: it holds something else, or nothing but commas, which would be all: more than was meant.
    """
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if text and not all(_NAMESPACE.fullmatch(one) for one in found or ("",)):
        raise ValueError(f"{VARIABLE} is {text!r}: write the names of namespaces, as name,name")
    return found
