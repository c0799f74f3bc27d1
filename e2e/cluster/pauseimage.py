"""The pause image, in which each pod's sandbox runs: one small static program, packed without any tool."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

from e2e.cluster import nodeconfig, paths, toolchain
from e2e.cluster.files import write_whole

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def identity() -> str:
    """Give the image's identity: the hash of its configuration, as of every image. The program is built before."""
    layer = _tar({"pause": toolchain.path(toolchain.PAUSE).read_bytes()})
    return hashlib.sha256(_config(layer, machine=platform.machine())).hexdigest()


def archive() -> Path:
    """Give the image as a docker archive, made on first use."""
    path = paths.cache_root() / "images" / f"pause-{identity()[:16]}.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, pack(toolchain.path(toolchain.PAUSE).read_bytes(), machine=platform.machine()))
    return path


def pack(program: bytes, *, machine: str) -> bytes:
    """Pack a static program as the docker archive of an image that runs it."""
    layer = _tar({"pause": program})
    manifest = [{"Config": "config.json", "RepoTags": [nodeconfig.PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    return _tar(
        {
            "layer.tar": layer,
            "config.json": _config(layer, machine=machine),
            "manifest.json": json.dumps(manifest).encode(),
        }
    )


def _config(layer: bytes, *, machine: str) -> bytes:
    config: dict[str, Any] = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "e2e.cluster.pauseimage"}],
    }
    return json.dumps(config).encode()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
