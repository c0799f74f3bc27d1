"""The table of pools: a row each, and which of them have changed since somebody last looked. Pure.

Each change gets a number that only grows. A browser says the last number that it has, so after a break it is sent
what it missed; where that is not known any more, it loads the page anew.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

Json = Mapping[str, Any]

_MOST_GONE: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Row:
    obj: Json
    html: str
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One row, as it is to be now."""

    key: str
    html: str
    """Empty: there is none any more."""
    after: str
    """The row above, for one that is new; empty for the first."""


class Board:
    """Rows by key, in the order of keys."""

    def __init__(self, render: Callable[[Json], str]) -> None:
        self.revision = 0
        """Of the last change."""
        self._render = render
        self._rows: dict[str, _Row] = {}
        self._gone: dict[str, int] = {}
        self._forgotten = 0

    def update(self, objects: Mapping[str, Json]) -> None:
        """What there is now. Rows of objects that are the same as before are not rendered again."""
        for key in self._rows.keys() - objects.keys():
            del self._rows[key]
            self.revision += 1
            self._gone[key] = self.revision
        for key in islice(tuple(self._gone), max(0, len(self._gone) - _MOST_GONE)):
            self._forgotten = max(self._forgotten, self._gone.pop(key))
        new = False
        for key, obj in objects.items():
            before = self._rows.get(key)
            if before is not None and before.obj is obj:
                continue
            html = self._render(obj)
            if before is not None and before.html == html:
                self._rows[key] = _Row(obj, html, before.revision)
                continue
            new = new or before is None
            self.revision += 1
            self._gone.pop(key, None)
            self._rows[key] = _Row(obj, html, self.revision)
        if new:
            self._rows = dict(sorted(self._rows.items()))

    def rows(self) -> Iterable[str]:
        """All of them, as HTML."""
        return (row.html for row in self._rows.values())

    def since(self, revision: int) -> list[Change] | None:
        """What has changed since, from top to bottom; None where that is not known any more."""
        if revision < self._forgotten or revision > self.revision:
            return None
        changes = [Change(key, "", "") for key, at in self._gone.items() if at > revision]
        above = ""
        for key, row in self._rows.items():
            if row.revision > revision:
                changes.append(Change(key, row.html, above))
            above = key
        return changes
