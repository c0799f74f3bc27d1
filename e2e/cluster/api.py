"""The few questions that the set-up itself asks of an API server, with nothing but the standard library."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.pki import Pair


@dataclass(frozen=True, kw_only=True)
class Api:
    """An API server, as seen by one client."""

    url: str
    authority: Path
    client: Pair

    def ready(self) -> bool:
        """Tell whether the server says that it is ready."""
        return self._ask("/readyz") is not None

    def get(self, path: str) -> Any:
        """Give the object or list at ``path``; none where there is none, or no answer."""
        body = self._ask(path)
        return None if body is None else json.loads(body)

    def ready_nodes(self) -> set[str]:
        """Give the names of the nodes that are Ready."""
        nodes = (self.get("/api/v1/nodes") or {}).get("items", [])
        return {node["metadata"]["name"] for node in nodes if _is_ready(node)}

    def renewed(self, node: str) -> str | None:
        """Give the time at which a node last renewed its lease, as the API server writes it."""
        lease = self.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}") or {}
        time_of_last: str | None = lease.get("spec", {}).get("renewTime")
        return time_of_last

    def _ask(self, path: str) -> bytes | None:
        trust = ssl.create_default_context(cafile=str(self.authority))
        trust.load_cert_chain(self.client.cert, self.client.key)
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5, context=trust) as answer:  # noqa: S310
                return bytes(answer.read())
        except (OSError, urllib.error.URLError):
            return None


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str, pause: float = 0.1) -> None:
    """Wait until ``condition`` holds.

    Raises:
        TimeoutError: it did not within ``seconds``; the message names ``what``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
