"""What a scenario finds: fact after fact, each of which holds or does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Row = dict[str, object]


@dataclass(kw_only=True)
class Record:
    """The facts of one scenario, in the order in which they were found."""

    scenario: str
    expected: str
    """What has to be true, in a sentence for people."""
    facts: list[tuple[str, bool]] = field(default_factory=list)

    def note(self, fact: str, *, holds: bool) -> None:
        """One more fact, and whether it is as it has to be."""
        self.facts.append((fact, holds))

    @property
    def ok(self) -> bool:
        """Whether anything was found, and all of it is as it has to be."""
        return bool(self.facts) and all(holds for _, holds in self.facts)

    @property
    def row(self) -> Row:
        """Give its line of the report."""
        told = "; ".join(fact if holds else f"NOT AS EXPECTED: {fact}" for fact, holds in self.facts)
        return {"scenario": self.scenario, "expected": self.expected, "observed": told, "ok": self.ok}


def table(records: Iterable[Record]) -> str:
    """Give the report for people: what did not hold is said at length."""
    lines = []
    for record in records:
        lines.append(f"{'ok ' if record.ok else 'NOT'} {record.scenario}: {record.expected}")
        lines += [f"      {'' if holds else 'NOT AS EXPECTED: '}{fact}" for fact, holds in record.facts]
    return "\n".join(lines)
