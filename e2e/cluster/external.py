"""The ``external`` provider: a cluster that is there already, given by a kubeconfig and left as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from e2e.cluster.base import ClusterError, Image, Part

VARIABLE = "E2E_KUBECONFIG"


class ExternalCluster:
    """Somebody else's cluster: tests use it, and nothing here starts, stops or breaks any part of it."""

    provider = "external"
    audit_log = None

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig.expanduser().absolute()
        if not self._kubeconfig.is_file():
            raise ClusterError(f"{VARIABLE} names {kubeconfig}, which is no file")

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig that was given."""
        return self._kubeconfig

    @property
    def nodes(self) -> list[str]:
        """The names of its nodes."""
        query = ["get", "nodes", "--output=jsonpath={.items[*].metadata.name}"]
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *query]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    def up(self) -> None:
        """Do nothing: it is up."""

    def down(self) -> None:
        """Do nothing: it is not ours."""

    def status(self) -> list[Part]:
        """Tell where it comes from."""
        return [Part(name="external", up=True, detail=str(self.kubeconfig))]

    def environment(self) -> Mapping[str, str]:
        """Give the variables for a shell."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    def build_image(self, *, dockerfile: Path, tag: str, context: Path, build_args: Mapping[str, str]) -> Image:
        """Refuse."""
        del dockerfile, context, build_args
        raise ClusterError(f"{tag}: images for an external cluster come from a registry that it can reach")

    def load_image(self, reference: str) -> None:
        """Refuse."""
        raise ClusterError(f"{reference}: push it to a registry that the cluster of {VARIABLE} can reach")

    def host_path(self, path: str) -> str:
        """Give the path itself."""
        return path

    def stop_node(self, name: str) -> None:
        """Refuse."""
        raise _refusal(f"node {name}")

    def start_node(self, name: str) -> None:
        """Refuse."""
        raise _refusal(f"node {name}")

    def stop_apiserver(self) -> None:
        """Refuse."""
        raise _refusal("API server")

    def start_apiserver(self) -> None:
        """Refuse."""
        raise _refusal("API server")


def _refusal(what: str) -> ClusterError:
    return ClusterError(f"the {what} of an external cluster is not ours to stop; use the local or kind provider")
