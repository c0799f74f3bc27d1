"""Libraries before libc, as in `e2e.support.preload`; without a C compiler the test is skipped."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from e2e.support import preload


def built(folder: Path, name: str, source: str) -> Mapping[str, str]:
    """The environment of a process that has this C before libc."""
    try:
        return preload.built(folder, name, source)
    except preload.NoCompilerError as error:
        pytest.skip(str(error))
