"""What may go wrong on the way to a running product: each with a message that is enough for the user."""

from __future__ import annotations

from typing import Final

from e2e.cluster import ClusterError
from e2e.cluster.network import NetworkTakenError
from e2e.cluster.processes import DaemonDiedError
from e2e.cluster.store import ImageImportError
from e2e.cluster.toolchain import ToolchainError
from e2e.support.kubectl import KubectlError

FAILURES: Final = (
    ClusterError,
    DaemonDiedError,
    ImageImportError,
    KubectlError,
    NetworkTakenError,
    TimeoutError,
    ToolchainError,
)
