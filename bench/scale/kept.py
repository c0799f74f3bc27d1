"""What was measured, in a file: a run of hours that is broken off goes on from there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from bench.scale.rows import Figures
from e2e.cluster.files import write_whole

_ALL: Final = TypeAdapter(list[Figures])


def load(file: Path) -> list[Figures]:
    """All that was kept there; nothing where there is no file yet.

    Raises:
        ValueError: it holds something else.
    """
    return _ALL.validate_json(file.read_bytes()) if file.exists() else []


def dump(file: Path, measured: Sequence[Figures]) -> None:
    """Keep them, as a whole: a run that ends in between leaves what was there before."""
    write_whole(file, _ALL.dump_json(list(measured), indent=2))


def has(
    measured: Sequence[Figures], system: str, *, objects: int, namespaces: int, changes: Collection[str] = ()
) -> bool:
    """Whether this system was measured at this size, with all these mass changes."""
    at = (system, objects, namespaces)
    return any((one.system, one.objects, one.namespaces) == at and {*changes} <= {*one.changes} for one in measured)
