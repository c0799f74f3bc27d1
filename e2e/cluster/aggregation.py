"""An API that a program on this machine serves, behind a control plane's aggregator.

A Service without a selector needs an EndpointSlice, and that takes no loopback address.
"""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def own_address() -> str:
    """Give an address of this machine that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("198.51.100.1", 9))
        return str(one.getsockname()[0])


@dataclass(frozen=True, kw_only=True)
class AggregatedApi:
    """One API group and version, and the program that serves it."""

    group: str
    version: str
    service: str
    """Name of the Service; the program's certificate is for ``<service>.<namespace>.svc``."""
    namespace: str
    address: str
    port: int
    authority: Path
    """Certificate of the authority that the API server trusts the program by."""

    @property
    def name(self) -> str:
        """Name of the APIService."""
        return f"{self.version}.{self.group}"

    def objects(self) -> list[Json]:
        """Give what has to be applied; the namespace has to be there."""
        place = {"name": self.service, "namespace": self.namespace}
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": place,
                "spec": {"ports": [{"name": "https", "port": 443, "targetPort": self.port}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": place | {"labels": {"kubernetes.io/service-name": self.service}},
                "addressType": "IPv4",
                "ports": [{"name": "https", "port": self.port, "protocol": "TCP"}],
                "endpoints": [{"addresses": [self.address], "conditions": {"ready": True}}],
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": self.name},
                "spec": {
                    "group": self.group,
                    "version": self.version,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": base64.b64encode(self.authority.read_bytes()).decode(),
                    "service": place | {"port": 443},
                },
            },
        ]
