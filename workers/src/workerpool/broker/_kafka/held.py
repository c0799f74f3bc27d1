"""The jobs that this process has taken and that have no outcome."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workerpool.broker._kafka.part import Part
from workerpool.broker._types import Taken


@dataclass(slots=True, eq=False)
class Holding:
    """What is known of a job in flight beside what its handler sees."""

    part: Part
    record: Any
    checkpoint: bytes = b""
    moved: bool = False
    """It was put elsewhere already; what is missing is that it is done here."""


class Held:
    """Of one consumer. Whoever is not in it has lost the job."""

    def __init__(self) -> None:
        self._holdings: dict[str, Holding] = {}
        self._taken = 0

    def __contains__(self, token: str) -> bool:
        return token in self._holdings

    def __getitem__(self, token: str) -> Holding:
        return self._holdings[token]

    def token(self) -> str:
        """One that no other delivery to this process has."""
        self._taken += 1
        return f"{self._taken}"

    def add(self, token: str, part: Part, record: Any) -> None:
        """It was given out."""
        self._holdings[token] = Holding(part, record)

    def ours(self, jobs: Sequence[Taken]) -> list[Taken]:
        """Those of them that are."""
        return [job for job in jobs if job.token in self._holdings]

    def forget(self, tokens: Iterable[str]) -> None:
        """They have their outcomes, or nobody works on them."""
        for token in tokens:
            self._holdings.pop(token, None)

    def parts(self) -> Iterator[Part]:
        """Of each job, the partition that it is of."""
        return (holding.part for holding in self._holdings.values())

    def lose(self, part: Part) -> None:
        """The partition is somebody else's, and with it the jobs."""
        self.forget([token for token, holding in self._holdings.items() if holding.part is part])
