"""How a thing is, for a badge."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """How a thing is: a word, and how much it should worry. Colour and sign follow from the latter."""

    word: str
    tone: str
    """good, busy, bad or none."""
