"""The ``kind`` provider: the normal way where a Docker engine runs. kind does the work, this only calls it.

It has not been run where this was written (no Docker engine); its configuration is checked by a unit test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster import paths, toolchain
from e2e.cluster.base import ClusterError, Image, Part, Wish

_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
_ASIDE = "/etc/kubernetes/kube-apiserver.yaml"


class KindCluster:
    """A cluster whose nodes are Docker containers."""

    provider = "kind"
    audit_log = None

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.home = paths.state_of(wish.name)

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.home / "kubeconfig"

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes that carry pods."""
        suffixes = ["", *range(2, self.wish.nodes + 1)]
        return [f"{self.wish.name}-worker{suffix}" for suffix in suffixes[: self.wish.nodes]]

    def up(self) -> None:
        """Create the cluster unless it is there."""
        toolchain.ensure(toolchain.HELM)
        self.home.mkdir(parents=True, exist_ok=True)
        if self.wish.name not in self._kind("get", "clusters").split():
            config = self.home / "kind.yaml"
            config.write_text(yaml.safe_dump(render(self.wish)))
            self._kind("create", "cluster", f"--config={config}", "--wait=120s", *self._names)
        self._kind("export", "kubeconfig", *self._names)

    def down(self) -> None:
        """Delete the cluster."""
        self._kind("delete", "cluster", *self._names)
        shutil.rmtree(self.home, ignore_errors=True)

    def status(self) -> list[Part]:
        """Tell which containers run."""
        listed = self._kind("get", "nodes", f"--name={self.wish.name}").split()
        running = _run("docker", "ps", "--format={{.Names}}").split()
        return [Part(name=name, up=name in running) for name in sorted(listed)]

    def environment(self) -> Mapping[str, str]:
        """Give the variables for a shell; kubectl is expected on the user's ``PATH``."""
        path = os.pathsep.join(filter(None, [toolchain.search_path(), os.environ.get("PATH", os.defpath)]))
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def build_image(self, *, dockerfile: Path, tag: str, context: Path, build_args: Mapping[str, str]) -> Image:
        """Build with Docker, on the base image that the Dockerfile names."""
        arguments = [f"--build-arg={name}={value}" for name, value in build_args.items()]
        _run("docker", "build", f"--file={dockerfile}", f"--tag={tag}", *arguments, str(context))
        identity = _run("docker", "image", "inspect", "--format={{.Id}}", tag).strip()
        return Image(reference=tag, identity=identity)

    def load_image(self, reference: str) -> None:
        """Copy an image from the Docker engine into the nodes; kind itself skips those that have it."""
        self._kind("load", "docker-image", reference, f"--name={self.wish.name}")

    def host_path(self, path: str) -> str:
        """Give the path itself."""
        return path

    def stop_node(self, name: str) -> None:
        """Kill the node's container."""
        _run("docker", "kill", name)

    def start_node(self, name: str) -> None:
        """Start the node's container, and wait until the node is Ready."""
        _run("docker", "start", name)
        ready = ["wait", "--for=condition=Ready", f"node/{name}", "--timeout=120s"]
        _run("kubectl", f"--kubeconfig={self.kubeconfig}", *ready)

    def stop_apiserver(self) -> None:
        """Take the API server's manifest away: its kubelet ends it."""
        self._in_control_plane("mv", _MANIFEST, _ASIDE)

    def start_apiserver(self) -> None:
        """Give the manifest back, and wait until the API server answers."""
        self._in_control_plane("mv", _ASIDE, _MANIFEST)
        ready = "until kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz; do sleep 1; done"
        self._in_control_plane("timeout", "120", "bash", "-c", ready)

    @property
    def _names(self) -> list[str]:
        return [f"--name={self.wish.name}", f"--kubeconfig={self.kubeconfig}"]

    def _in_control_plane(self, *command: str) -> None:
        _run("docker", "exec", f"{self.wish.name}-control-plane", *command)

    def _kind(self, *arguments: str) -> str:
        return _run(program(), *arguments)


def render(wish: Wish) -> Mapping[str, Any]:
    """Give kind's configuration: ``kind.yaml`` with the wanted number of workers, flags and gates."""
    config: dict[str, Any] = yaml.safe_load((paths.SOURCE / "kind.yaml").read_text())
    control_plane, worker = config["nodes"]
    if wish.extra.audit:
        raise ClusterError("the audit log is an option of the local provider only")
    patch = {
        "kind": "ClusterConfiguration",
        "apiServer": {"extraArgs": _flags(wish.extra.apiserver_args)},
        "controllerManager": {"extraArgs": _flags(wish.extra.controller_manager_args)},
        "scheduler": {"extraArgs": _flags(wish.extra.scheduler_args)},
    }
    return {
        **config,
        "featureGates": dict(wish.extra.feature_gates),
        "kubeadmConfigPatches": [yaml.safe_dump(patch)],
        "nodes": [control_plane, *([worker] * wish.nodes)],
    }


def program() -> str:
    """Find kind, or build it where Go is.

    Raises:
        ToolchainError: neither is there.
    """
    if found := shutil.which("kind"):
        return found
    toolchain.ensure(toolchain.KIND)
    return str(toolchain.path(toolchain.KIND))


def _flags(arguments: tuple[str, ...]) -> Mapping[str, str]:
    pairs = (argument.removeprefix("--").partition("=") for argument in arguments)
    return {name: value or "true" for name, _, value in pairs}


def _run(*command: str) -> str:
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` failed:\n{(result.stdout + result.stderr)[-4000:]}")
    return result.stdout
