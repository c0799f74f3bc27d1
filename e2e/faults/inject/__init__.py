"""A proxy in front of the Kubernetes API server that misbehaves on demand.

>>> async with FaultProxy(Upstream.from_kubeconfig(path)) as proxy:
...     proxy.write_kubeconfig(tmp_path / "kubeconfig", token=token)
...     with proxy.fault(Match(methods={"GET"}, path="/deployments"), Answer(503), times=3):
...         ...

The client behind it keeps its own identity: a bearer token is passed on as it is, and only a client without one
speaks with the certificate of the upstream's kubeconfig. :class:`WritePoints` counts what the client writes and
can end the client after any one write, which is how every crash point of a reconcile is tried.

`proxy.in_thread()` runs it beside a test that blocks; `python -m e2e.faults.inject --help` runs it alone.
"""

from e2e.faults.inject.faults import (
    Answer,
    CutStream,
    Delay,
    Drop,
    DropEvents,
    EndWatch,
    Fault,
    LateEvents,
    LoseAnswer,
    Match,
    OldListings,
    ReorderEvents,
)
from e2e.faults.inject.proxy import FaultProxy
from e2e.faults.inject.rules import Injection, Rules
from e2e.faults.inject.upstream import Upstream
from e2e.faults.inject.writes import Write, WritePoints

__all__ = [
    "Answer",
    "CutStream",
    "Delay",
    "Drop",
    "DropEvents",
    "EndWatch",
    "Fault",
    "FaultProxy",
    "Injection",
    "LateEvents",
    "LoseAnswer",
    "Match",
    "OldListings",
    "ReorderEvents",
    "Rules",
    "Upstream",
    "Write",
    "WritePoints",
]
