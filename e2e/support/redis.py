"""Redis in the cluster, and a way to it from this machine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from e2e.support.forward import forwarded
from e2e.support.images import ROOT
from e2e.support.kubectl import Json, Kubectl

NAME = "redis"
PORT = 6379
_READY_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Redis:
    """A Redis in a namespace of the cluster."""

    kubectl: Kubectl
    namespace: str

    @property
    def url(self) -> str:
        """Its address for pods of any namespace."""
        return f"redis://{NAME}.{self.namespace}.svc:{PORT}/0"

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[str]:
        """Give an address for this machine, for as long as the context lasts."""
        with forwarded(self.kubectl, NAME, PORT, namespace=self.namespace, answers=_answers) as port:
            yield f"redis://127.0.0.1:{port}/0"

    def cli(self, *arguments: str) -> str:
        """Run redis-cli in its pod, and give what it prints."""
        where = f"--namespace={self.namespace}"
        return self.kubectl.run("exec", f"deployment/{NAME}", where, "--", "redis-cli", *arguments)


def deploy(kubectl: Kubectl, namespace: str, *, image: str, node: str = "") -> Redis:
    """Put a Redis into the namespace, on a certain node if that matters, and wait until it answers."""
    kubectl.apply(*manifests(namespace, image=image, node=node))
    kubectl.rollout(f"deployment/{NAME}", namespace=namespace, seconds=_READY_SECONDS)
    return Redis(kubectl=kubectl, namespace=namespace)


def manifests(namespace: str, *, image: str, node: str = "") -> list[Json]:
    """Give Deployment and Service of the Redis in ``examples/first-pool.yaml``, here and with this image."""
    documents = yaml.safe_load_all((ROOT / "examples" / "first-pool.yaml").read_text())
    found = [document for document in documents if document["metadata"]["name"] == NAME]
    for each in found:
        each["metadata"]["namespace"] = namespace
        if each["kind"] == "Deployment":
            pod = each["spec"]["template"]["spec"]
            pod["containers"][0]["image"] = image
            pod["nodeSelector"] = {"kubernetes.io/hostname": node} if node else {}
    return found


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
