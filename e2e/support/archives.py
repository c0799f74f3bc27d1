"""What is in an image: its layers, by whom and of what they were made, and the files of those that are ours."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster import Cluster
from e2e.cluster import images as builder

_DEPENDENCIES = "/opt/venv"
"""Where the first of our own layers goes; those before it are the base's."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One that holds files."""

    made_by: str
    size: int
    """Bytes, as they lie on a node. On the way there they are compressed."""
    files: tuple[tarfile.TarInfo, ...]


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An image as a registry would get it."""

    config: dict[str, Any]
    """User, ENTRYPOINT and so on."""
    layers: tuple[Layer, ...]

    @property
    def ours(self) -> tuple[Layer, ...]:
        """What lies on the base."""
        first = next(
            number
            for number, layer in enumerate(self.layers)
            if "COPY" in layer.made_by and _DEPENDENCIES in layer.made_by
        )
        return self.layers[first:]


def read(cluster: Cluster, reference: str) -> Archive | None:
    """Give the image of that name, built on this machine; None for a cluster whose images come from elsewhere."""
    with _saved(cluster, reference) as path:
        if path is None:
            return None
        with tarfile.open(path) as tar:
            [manifest] = json.loads(_member(tar, "manifest.json").read())
            document = json.loads(_member(tar, manifest["Config"]).read())
            made_by = [one["created_by"] for one in document["history"] if not one.get("empty_layer")]
            layers = tuple(_layer(tar, name, said) for name, said in zip(manifest["Layers"], made_by, strict=True))
    return Archive(config=document["config"], layers=layers)


def _layer(tar: tarfile.TarFile, name: str, made_by: str) -> Layer:
    with tarfile.open(fileobj=_member(tar, name)) as files:
        found = tuple(files.getmembers())
    return Layer(made_by=made_by, size=sum(file.size for file in found), files=found)


def _member(tar: tarfile.TarFile, name: str) -> Any:
    found = tar.extractfile(name)
    assert found is not None, name
    return found


@contextlib.contextmanager
def _saved(cluster: Cluster, reference: str) -> Iterator[Path | None]:
    match cluster.provider:
        case "local":
            with builder.exported(builder.find(reference)) as archive:
                yield archive
        case "kind":
            with tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / "image.tar"
                subprocess.run(["docker", "save", f"--output={archive}", reference], check=True, capture_output=True)
                yield archive
        case _:
            yield None
