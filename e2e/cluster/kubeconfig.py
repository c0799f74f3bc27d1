"""Kubeconfig files: for the user of the cluster, and for each of its own programs."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from e2e.cluster.pki import Pair


def write(path: Path, *, server: str, authority: Path, client: Pair, name: str = "workerpool") -> Path:
    """Write a kubeconfig with everything in it, so that it may be copied elsewhere."""
    cluster = {"server": server, "certificate-authority-data": _data(authority)}
    user = {"client-certificate-data": _data(client.cert), "client-key-data": _data(client.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
