"""All faults that the suite knows, in the order of their numbers."""

from __future__ import annotations

from e2e.faults.matrix.api import BadAnswers, BrokenWatches
from e2e.faults.matrix.churn import Churn
from e2e.faults.matrix.drift import Drifts
from e2e.faults.matrix.exhaustive import Exhaustive
from e2e.faults.matrix.foreign import ForeignWriters
from e2e.faults.matrix.ground import Fault
from e2e.faults.matrix.leaders import Leaders
from e2e.faults.matrix.network import Partitions
from e2e.faults.matrix.nodes import Nodes
from e2e.faults.matrix.rights import Rights
from e2e.faults.matrix.strange import Strange
from e2e.faults.matrix.versions import Versions
from e2e.faults.matrix.workers import Workers


def catalogue() -> dict[str, Fault]:
    """Number -> fault."""
    faults: tuple[Fault, ...] = (
        Exhaustive(),
        BrokenWatches(),
        BadAnswers(),
        ForeignWriters(),
        Workers(),
        Leaders(),
        Partitions(),
        Drifts(),
        Rights(),
        Nodes(),
        Strange(),
        Churn(),
        Versions(),
    )
    return {fault.number: fault for fault in faults}
