"""Kubernetes label selectors, in the whole of their grammar, as HPAs and `kubectl` send them.

`a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, `a>1`, `a<1`, joined by commas. As in apimachinery's
`labels.Parse`: a label that is not there satisfies `!=` and `notin`, and an empty selector selects everything.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 4096
"""Characters. Anybody with a name may send a selector, and it is matched with each pool of a namespace."""
MAX_REQUIREMENTS: Final = 32

_TOKEN: Final = re.compile(r"==|=|!=|!|>|<|\(|\)|,|[^\s=!()<>,]+")
_SYMBOLS: Final = frozenset({"==", "=", "!=", "!", ">", "<", "(", ")", ","})
_NAME: Final = r"(?=.{1,63}\Z)[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY: Final = re.compile(rf"(?:(?=[^/]{{1,253}}/)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?{_NAME}\Z")
_VALUE: Final = re.compile(rf"(?:{_NAME})?\Z")
_END: Final = ""


class SelectorError(ValueError):
    """The selector cannot be understood; the text says where."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one label has to be like. `holds` is asked with the label's value, None where it is missing."""

    key: str
    holds: Callable[[str | None], bool]
    values: frozenset[str] | None = None
    """The only values with which it can hold, where they are known."""


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements, each of which has to hold; none selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def values(self, key: str) -> frozenset[str] | None:
        """The only values of a label that can be selected; None when that cannot be told without looking at each."""
        known = [one.values for one in self.requirements if one.key == key and one.values is not None]
        return frozenset.intersection(*known) if known else None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects what carries these labels."""
        return all(one.holds(labels.get(one.key)) for one in self.requirements)


def parse(text: str) -> Selector:
    """The selector that `text` writes. Raises SelectorError, also for one that is too long to be answered quickly."""
    if len(text) > MAX_LENGTH:
        raise SelectorError(f"the label selector has {len(text)} characters, and may have {MAX_LENGTH}")
    reader = _Reader(text)
    if reader.next == _END:
        return Selector()
    requirements = [_requirement(reader)]
    while reader.next != _END:
        reader.take(",")
        if len(requirements) == MAX_REQUIREMENTS:
            raise reader.error(f"it has more than {MAX_REQUIREMENTS} requirements")
        requirements.append(_requirement(reader))
    return Selector(tuple(requirements))


class _Reader:
    """The tokens of a selector, one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.finditer(text)
        self.next = _END
        """The next token; empty at the end."""
        self.pop()

    def pop(self) -> str:
        """Take the next token, whatever it is."""
        taken, following = self.next, next(self._tokens, None)
        self.next = _END if following is None else following.group()
        return taken

    def take(self, *wanted: str) -> str:
        """Take the next token, which has to be one of these."""
        found = self.pop()
        if found not in wanted:
            raise self.error(f"found {found or 'its end'!r} where {' or '.join(map(repr, wanted))} is expected")
        return found

    def word(self, pattern: re.Pattern[str], what: str) -> str:
        """Take a label's name or value."""
        found = self.pop()
        if found in _SYMBOLS or not pattern.match(found):
            raise self.error(f"{found!r} is no {what} of a label")
        return found

    def value(self) -> str:
        """Take a value, which may be empty: `a=` and `a in (,b)`."""
        return "" if self.next in (_END, ",", ")") else self.word(_VALUE, "value")

    def error(self, why: str) -> SelectorError:
        """The error to raise."""
        return SelectorError(f"label selector {self._text!r}: {why}")


def _requirement(reader: _Reader) -> Requirement:
    if reader.next == "!":
        reader.pop()
        return Requirement(reader.word(_KEY, "name"), lambda value: value is None)
    key = reader.word(_KEY, "name")
    if reader.next in (_END, ","):
        return Requirement(key, lambda value: value is not None)
    operator = reader.take("=", "==", "!=", "in", "notin", ">", "<")
    if operator in (">", "<"):
        return Requirement(key, _compares(operator, _number(reader)))
    values = _values(reader) if operator in ("in", "notin") else frozenset({reader.value()})
    if operator in ("!=", "notin"):
        return Requirement(key, lambda value: value is None or value not in values)
    return Requirement(key, lambda value: value in values, values)


def _values(reader: _Reader) -> frozenset[str]:
    reader.take("(")
    if reader.next == ")":
        raise reader.error("a set of values is empty")
    values = {reader.value()}
    while reader.take(",", ")") == ",":
        values.add(reader.value())
    return frozenset(values)


def _number(reader: _Reader) -> int:
    text = reader.word(_VALUE, "value")
    if not text.isdecimal():
        raise reader.error(f"{text!r} is no whole number")
    return int(text)


def _compares(operator: str, limit: int) -> Callable[[str | None], bool]:
    def holds(value: str | None) -> bool:
        if value is None or not value.isdecimal():
            return False
        return int(value) > limit if operator == ">" else int(value) < limit

    return holds
