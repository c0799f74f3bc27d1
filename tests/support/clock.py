"""The wall clock of a server that a test starts; see `e2e.support.clock`."""

from pathlib import Path

import pytest

from e2e.support import clock
from e2e.support.preload import NoCompilerError


class WallClock(clock.WallClock):
    """Skips the test where there is no C compiler."""

    def __init__(self, folder: Path) -> None:
        try:
            super().__init__(folder)
        except NoCompilerError as error:
            pytest.skip(str(error))
