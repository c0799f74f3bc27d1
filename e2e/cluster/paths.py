"""Where the cluster keeps its files: nothing lies in the checkout.

Two roots, by the XDG convention, because their lives differ:

* the cache (``$XDG_CACHE_HOME`` or ``~/.cache``, then ``workerpool-operator/``) holds what is dear to make
  and true for ever: programs, root file systems, image layers, the images that a node has imported;
* the state (``$XDG_STATE_HOME`` or ``~/.local/state``, then ``workerpool-operator/``) holds one folder for
  each running cluster, and ``down`` removes that folder.
"""

from __future__ import annotations

import os
from pathlib import Path

_PRODUCT = "workerpool-operator"

SOURCE = Path(__file__).resolve().parent
"""This package's folder; the Go module, the kind config and the Dockerfiles lie under it."""


def cache_root() -> Path:
    """Give the folder of everything that outlives a cluster."""
    return _root("XDG_CACHE_HOME", ".cache")


def state_root() -> Path:
    """Give the folder in which each running cluster has a folder of its own."""
    return _root("XDG_STATE_HOME", ".local/state")


def state_of(name: str) -> Path:
    """Give the folder of one cluster's state.

    Sockets lie in it, and Linux cuts their paths at 107 bytes, so the layout below it is kept flat.
    """
    return state_root() / name


def _root(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable) or str(Path.home() / fallback)
    return Path(base) / _PRODUCT
