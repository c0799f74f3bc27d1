"""What every provider gives to the tests, which never ask which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from e2e.cluster.arguments import Extra

DEFAULT_NAME = "workerpool"


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A built image: its full name, and the hash of its configuration, which covers all of its content."""

    reference: str
    identity: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The cluster that is asked for."""

    name: str = DEFAULT_NAME
    nodes: int = 2
    """Nodes with real pods; 0 is a control plane alone, which needs no root."""
    extra: Extra = field(default_factory=Extra)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a cluster, as ``status`` shows it."""

    name: str
    up: bool
    detail: str = ""


class Cluster(Protocol):
    """A cluster by one of the providers."""

    @property
    def provider(self) -> str:
        """The provider's name: ``local``, ``kind`` or ``external``."""

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes that carry pods."""

    @property
    def audit_log(self) -> Path | None:
        """The API server's audit log, one JSON event a line; none where it was not asked for or cannot be had."""

    def up(self) -> None:
        """Start all that does not run, and wait until nodes are Ready; a second call changes nothing."""

    def down(self) -> None:
        """End and remove everything."""

    def status(self) -> list[Part]:
        """Tell part by part what runs."""

    def environment(self) -> Mapping[str, str]:
        """Give the variables for a shell: ``KUBECONFIG``, ``PATH``, provider and name."""

    def build_image(self, *, dockerfile: Path, tag: str, context: Path, build_args: Mapping[str, str]) -> Image:
        """Build an image in the way of this provider; a second build of the same sources is quick."""

    def load_image(self, reference: str) -> None:
        """Give the nodes an image that was built on this machine; quick where they have it already."""

    def host_path(self, path: str) -> str:
        """Give what a pod mounts for a folder of its node; ``$(NODE_NAME)`` in it stands for the node's name."""

    def stop_node(self, name: str) -> None:
        """Lose a node as by a power cut."""

    def start_node(self, name: str) -> None:
        """Bring a lost node back, and wait until it is Ready."""

    def stop_apiserver(self) -> None:
        """Take the API server away."""

    def start_apiserver(self) -> None:
        """Bring the API server back, and wait until it is ready."""
