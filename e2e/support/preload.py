"""Libraries that the loader puts before libc (LD_PRELOAD), for what nobody can do to a process from outside."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


class NoCompilerError(Exception):
    """There is no C compiler on this machine, and such a library is built where it is used."""


def built(folder: Path, name: str, source: str) -> Mapping[str, str]:
    """Give the environment of a process that has this C before libc.

    Raises:
        NoCompilerError: it cannot be built.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError("no C compiler, to build a library that stands before libc")
    folder.mkdir(parents=True, exist_ok=True)
    text, library = folder / f"{name}.c", folder / f"{name}.so"
    text.write_text(f"#define _GNU_SOURCE\n{source}")
    subprocess.run([compiler, "-Werror", "-shared", "-fPIC", "-o", library, text, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}
