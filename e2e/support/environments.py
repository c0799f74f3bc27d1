"""Python environments of other libraries, each made of a lock file when it is first asked for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from e2e.cluster.paths import cache_root
from e2e.cluster.progress import Step

ROOT: Final = Path(__file__).resolve().parents[2]
_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


class NoEnvironmentError(RuntimeError):
    """What a library needs cannot be installed; PyPI is needed for that."""


def python_of(lock: Path, *, below: str) -> Path:
    """The interpreter of the environment with what `lock` names, below this folder of the cache.

    Raises:
        NoEnvironmentError: it cannot be made.
    """
    digest = hashlib.sha256(lock.read_bytes() + _PYTHON.encode()).hexdigest()[:12]
    folder = cache_root() / below / f"{lock.stem}-{digest}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        with Step(f"installing {lock.stem} into {folder}"):
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "sync", "--python", str(python), "--require-hashes", str(lock))
            complete.touch()
    return python


def _uv(*arguments: str) -> None:
    command = [str(ROOT / "scripts" / "uv"), "--quiet", *arguments]
    if subprocess.run(command, check=False).returncode != 0:
        raise NoEnvironmentError(f"`uv {' '.join(arguments)}` failed, see above: is PyPI, or its mirror, reachable?")
