"""Nodes that a person empties: which of a pool's workers leave them, and who goes next.

Nothing is remembered. A worker that leaves is fenced, ends its jobs, and its pod is deleted; its Deployment makes
another. It is one at a time and idle ones first: nobody goes while the pool has fewer ready workers than its
Deployments ask for, so a cluster without room for the next one stops a drain at one missing worker.

Only pods that were there when it began are meant. Those that Kubernetes puts onto the node again, because nobody has
cordoned it or because they tolerate that, are left alone: else they would be replaced over and over.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workerpool_operator.domain.scaling.scale_in import Leaver
from workerpool_operator.domain.scaling.workers import Readiness, Worker

DRAIN: Final = "workerpool.dev/drain-node"
LOOK_SECONDS: Final = 5.0
"""While a node is drained the pool is looked at this often at least."""
LIST_SECONDS: Final = 1.0
"""And its pods are listed at most this often, as long as nobody is about to leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """The workers on this node that were created until `begun` leave it. It is given up at `until`."""

    node: str
    begun: datetime
    until: datetime

    @classmethod
    def parse(cls, text: str) -> "Drain | None":
        """Read `NODE@BEGUN/UNTIL`, the times as RFC 3339 has them, with their offsets; None: it makes no sense."""
        node, _, interval = text.strip().partition("@")
        begun, _, until = interval.partition("/")
        try:
            found = cls(node=node, begun=datetime.fromisoformat(begun), until=datetime.fromisoformat(until))
        except ValueError:
            return None
        return found if node and found.begun.tzinfo and found.until.tzinfo else None

    def __str__(self) -> str:
        """As it stands in the annotation."""
        return f"{self.node}@{self.begun.isoformat(timespec='seconds')}/{self.until.isoformat(timespec='seconds')}"

    def takes(self, worker: Worker) -> bool:
        """Whether this worker leaves."""
        pod = worker.pod
        return pod.node == self.node and datetime.fromisoformat(pod.created) <= self.begun


def drains_in(text: str) -> tuple[Drain, ...] | None:
    """Those of an annotation, separated by commas. None: one of them makes no sense."""
    found = [Drain.parse(part) for part in text.split(",")]
    return tuple(one for one in found if one) if all(found) else None


def leaver(
    drains: Sequence[Drain],
    workers: Collection[Worker],
    *,
    wanted: int,
    fenced: frozenset[str],
    silent: frozenset[str] = frozenset(),
) -> Leaver | None:
    """Who leaves next; None: nobody now.

    `wanted`: workers that the pool's Deployments ask for, without those that count as lost; `fenced`: uids of those
    that take nothing more already. Among the busy ones these come first: they can only become idler, while others take
    new jobs. `silent`: uids of those on lost nodes, which Kubernetes calls ready for a while, and takes away itself.
    """
    there = [worker for worker in workers if worker.pod.uid not in silent]
    whole = sum(worker.pod.ready for worker in there) >= wanted
    leaving = [worker for worker in there if any(drain.takes(worker) for drain in drains)]
    # One that is not ready takes nothing away by leaving, and would else keep the others for ever.
    able = [worker for worker in leaving if whole or worker.readiness is Readiness.NOT_STARTED]
    first = min(able, key=lambda one: (one.readiness, one.pod.uid not in fenced, one.order), default=None)
    return None if first is None else Leaver(uid=first.pod.uid, deaf=False)
