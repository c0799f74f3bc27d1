"""What the long-lived processes do without."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("program", ["workerpool_operator.__main__", "workerpool_operator.collector.__main__"])
def test_logs_are_loaded_without_what_colours_them(program: str) -> None:
    """And whoever asks for it later has it."""
    code = f"import sys, {program}; print('rich' in sys.modules, 'pygments' in sys.modules); import rich.console"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
