"""Libraries that the loader puts before libc (LD_PRELOAD), for what a test cannot do to a process from outside."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest


def built(folder: Path, name: str, source: str) -> Mapping[str, str]:
    """The environment of a process that has this C before libc. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler, to build a library that stands before libc")
    folder.mkdir(parents=True, exist_ok=True)
    text, library = folder / f"{name}.c", folder / f"{name}.so"
    text.write_text(f"#define _GNU_SOURCE\n{source}")
    subprocess.run([compiler, "-Werror", "-shared", "-fPIC", "-o", library, text, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}
