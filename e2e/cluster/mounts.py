"""Mounts below a folder: what containers and volumes leave behind when their owners are killed."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_DETACH = 2  # MNT_DETACH: out of the tree at once, released when the last user is gone
_POINT = 4  # the column of the mount point in mountinfo


def below(folder: Path) -> list[Path]:
    """Give the mount points at or below ``folder``, innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(_unescape(line.split()[_POINT])) for line in lines]
    return [point for point in reversed(points) if point.is_relative_to(folder)]


def detach(folder: Path) -> None:
    """Unmount all that is mounted at or below ``folder``.

    Raises:
        OSError: the kernel refused one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for point in below(folder):
        if libc.umount2(os.fsencode(point), _DETACH) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(point))


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes."""
    return field.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")
