"""What the process that answers has done, on its way to the operator's metrics.

It is told once a beat, also when there is nothing to tell: the operator takes one that is silent for stuck.
"""

import json
from collections import deque
from typing import Final, Protocol

MOST_HELD: Final = 10_000
"""Of what an operator that does not read has not been told. The rest is not counted."""


class Counters(Protocol):
    """Where it is counted."""

    def metrics_request(self, *, kind: str, code: int, seconds: float) -> None:
        """A request to the external metrics API was answered."""

    def api_request(self, *, verb: str, kind: str, code: str, seconds: float) -> None:
        """A request to the Kubernetes API ended."""

    def api_retry(self, *, verb: str, kind: str) -> None:
        """A request to the Kubernetes API is about to be sent again."""


class Tally:
    """Counts by remembering, as `Counters` of the process that answers."""

    def __init__(self) -> None:
        self._held = deque[tuple[str, dict[str, object]]](maxlen=MOST_HELD)
        self._serving = False

    def serving(self) -> None:
        """The port is open."""
        self._serving = True

    def metrics_request(self, *, kind: str, code: int, seconds: float) -> None:
        """A request to the external metrics API was answered."""
        self._held.append(("metrics_request", {"kind": kind, "code": code, "seconds": seconds}))

    def api_request(self, *, verb: str, kind: str, code: str, seconds: float) -> None:
        """A request to the Kubernetes API ended."""
        self._held.append(("api_request", {"verb": verb, "kind": kind, "code": code, "seconds": seconds}))

    def api_retry(self, *, verb: str, kind: str) -> None:
        """A request to the Kubernetes API is about to be sent again."""
        self._held.append(("api_retry", {"verb": verb, "kind": kind}))

    def line(self) -> bytes:
        """What has happened since the last line."""
        held = list(self._held)
        self._held.clear()
        return json.dumps({"serving": self._serving, "counted": held}).encode() + b"\n"


def count(line: bytes, counters: Counters) -> bool:
    """Count what a line tells; whether the process serves by now."""
    said = json.loads(line)
    for what, values in said["counted"]:
        getattr(counters, what)(**values)
    return bool(said["serving"])
