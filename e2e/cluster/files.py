"""Files that others read, or that an end in the midst of writing must leave as they were."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """In one step: a reader finds what was there before, or all of this, whoever else writes it meanwhile."""
    draft = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
