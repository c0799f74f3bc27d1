"""An earlier chart with its image, kept in the tree."""

from __future__ import annotations

import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.cluster import Cluster, ClusterError
from e2e.support import images

ARCHIVE: Final = Path(__file__).with_name("frozen.tar.xz")
VARIABLE: Final = "E2E_FROZEN_IMAGE"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """What there is to upgrade from."""

    chart: Path
    image: str

    @classmethod
    def ensure(cls, cluster: Cluster, folder: Path) -> Frozen:
        """Unpack it into the folder; the nodes have its image, which is built if it is not there yet.

        Raises:
            ClusterError: it cannot be built; for a cluster from outside, the message names the variable.
        """
        return cls(chart=unpack(folder), image=_image(cluster, folder))


def unpack(folder: Path) -> Path:
    """Put chart and sources into the folder; gives the chart."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "charts" / "workerpool-operator"


def _image(cluster: Cluster, folder: Path) -> str:
    if given := os.environ.get(VARIABLE):
        return given
    if cluster.provider == "external":
        raise ClusterError(f"set {VARIABLE} to an image of {ARCHIVE.name} that the cluster can pull")
    tag = f"workerpool-operator:frozen-{hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:12]}"
    try:
        cluster.load_image(tag)
    except ClusterError:  # not built yet
        images.build(cluster, images.OPERATOR, tag=tag, root=folder)
    return tag
