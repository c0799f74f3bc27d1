"""What the measurement needs of a system."""

from __future__ import annotations

from typing import Any, Protocol

Json = dict[str, Any]


class System(Protocol):
    """One that scales a Deployment for each queue of the stage."""

    name: str

    async def prepare(self) -> None:
        """Start it, with all there is before the first pool."""

    async def create(self) -> None:
        """Have every queue scaled, and start what comes with that."""

    async def looked_after(self) -> int:
        """How many pools it has taken up: each has what it scales by."""

    def pids(self) -> list[int]:
        """Its processes. Raises DaemonDiedError when one of them has ended."""
