"""Control groups: where a node's pods live, and by which every process of the cluster is found again.

Each part of a cluster (the control plane, each node) has a group; its daemons join the group's ``system`` child
before they start, so all that they ever start (shims, plug-ins) stays in it, and pods lie beside it in
``kubepods``. So "all processes of this node" is a fact that the kernel keeps, and a node can be killed whole even
when every record of its pids is lost.

Both layouts are served: version 1 (one tree for each controller) and version 2 (one tree). Only version 1 has been
seen at work here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/sys/fs/cgroup")
_TRACKERS = ("pids", "memory")
"""Version 1 trees that daemons join; not ``cpu``, where a group of their own would slow the control plane."""
_SHARES = 4096
"""CPU weight of a part: pods of a busy node weigh as much as a few host processes, and never drown the API."""
_SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group by its path below the roots, as ``workerpool-local/node-1``; the same in every tree."""

    path: str

    @property
    def join(self) -> tuple[Path, ...]:
        """Give the ``cgroup.procs`` files that a daemon of this group joins."""
        return tuple(tree / self.path / _SYSTEM / "cgroup.procs" for tree in _tracked())

    def create(self) -> None:
        """Make the group in every tree, with all that the kubelet expects of its parent group."""
        for tree in trees():
            folder = tree
            for part in (*Path(self.path).parts, _SYSTEM):
                _delegate(folder)
                folder /= part
                folder.mkdir(exist_ok=True)
                _inherit(folder)

    def processes(self) -> set[int]:
        """Give all processes of the group and of the groups below it."""
        found: set[int] = set()
        for tree in trees():
            for folder, _, _ in os.walk(tree / self.path):  # groups may go meanwhile: it passes them over
                with contextlib.suppress(OSError):
                    found.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
        return found

    def remove(self) -> None:
        """Remove the group and all below it from every tree; its processes must have ended."""
        for tree in trees():
            for folder, _, _ in os.walk(tree / self.path, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()

    def exists(self) -> bool:
        """Tell whether any tree has it."""
        return any((tree / self.path).exists() for tree in trees())


def trees() -> list[Path]:
    """Give the root of each tree: one in version 2, else all that are mounted (links such as ``cpu`` only once)."""
    if _unified():
        return [_MOUNTS]
    return [tree for tree in sorted(_MOUNTS.iterdir()) if not tree.is_symlink() and (tree / "cgroup.procs").exists()]


def _unified() -> bool:
    return (_MOUNTS / "cgroup.controllers").exists()


def _tracked() -> Iterator[Path]:
    if _unified():
        yield _MOUNTS
    else:
        yield from (_MOUNTS / name for name in _TRACKERS if (_MOUNTS / name).exists())


def _delegate(folder: Path) -> None:
    """Version 2: let child groups have every controller that this one has."""
    if not _unified():
        return
    for controller in (folder / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit(folder: Path) -> None:
    """Version 1: a new cpuset is empty, and nothing can run in it; and a new cpu group weighs like one process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())
    if not _unified() and (folder / "cpu.shares").exists():
        (folder / "cpu.shares").write_text(str(_SHARES))
