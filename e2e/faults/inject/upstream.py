"""The API server behind the proxy."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workerpool_operator.kube import ClusterAccess


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where it is, how to trust it, and who speaks for a client that brings no token."""

    url: str
    as_client: ssl.SSLContext | None = None
    """Without a client certificate: the client's own token must decide who it is."""
    as_owner: ssl.SSLContext | None = None
    """With the kubeconfig's client certificate."""

    @classmethod
    async def from_kubeconfig(cls, path: Path) -> Self:
        """Take address, authority and client certificate from a kubeconfig."""
        configuration = (await ClusterAccess.from_kubeconfig(path)).configuration
        as_client = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        as_owner = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            as_owner.load_cert_chain(configuration.cert_file, configuration.key_file)
        return cls(str(configuration.host).rstrip("/"), as_client=as_client, as_owner=as_owner)
