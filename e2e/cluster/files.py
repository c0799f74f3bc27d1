"""Files that others read, or that an end in the midst of writing must leave as they were."""

from __future__ import annotations

from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """In one step: a reader finds what was there before, or all of this."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.replace(file)
