"""Worker pods as scale-in sees them: what Kubernetes says of the pod joined with what the worker says of itself."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

REPORT_FRESH_SECONDS: Final = 15.0
"""A report older than this decides nothing. Half a fence's time to live: the fence it answers is still in force."""
DELETION_COST: Final = -1000
"""Written on exactly the pods that were chosen, so that the ReplicaSet controller takes them."""
SOON_COSTS: Final = range(DELETION_COST + 1, -500)
"""Written on pods that will be chosen soon: each has its own, the lowest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """An active pod (neither terminating, Succeeded nor Failed) of a pool."""

    name: str
    uid: str
    deployment: str
    assigned: bool
    """Whether it has a node."""
    pending: bool
    """Phase Pending: no container has run yet."""
    ready: bool
    created: str
    """RFC 3339, so it sorts."""
    cost: int = 0
    """Its pod-deletion-cost annotation."""
    running: bool = True
    """Whether a container of it runs, as the kubelet last said."""
    node: str = ""
    """Name of its node; empty: it has none yet."""
    shielded: bool | None = None
    """Whether all annotations that keep a busy worker's node stand there; None: some do."""

    @property
    def marked(self) -> bool:
        """Whether the ReplicaSet controller takes it before others that are alike: it is chosen, or will be soon."""
        return self.cost == DELETION_COST or self.cost in SOON_COSTS


class Share(NamedTuple):
    """An order to a worker of how much of the pool's rate limit is its own."""

    id: str
    per_second: float
    """Jobs that it begins at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The newest that is known of a worker."""

    uid: str
    age: float
    in_flight: int
    fence: str
    fenceable: bool
    """Whether it listens to orders; a worker on the bare contract does not."""
    connected: bool
    draining: bool = False
    """Whether it was told to stop and is finishing."""
    version: str = ""
    """Version hash that it says it runs."""
    remaining: float | None = 0.0
    """Longest declared timeout minus age over its running jobs, seconds; None when one declares none."""
    pod: str = ""
    """Name of its pod."""
    slots: int | None = None
    """Jobs that it runs at a time; None: it does not say."""
    most_slots: int | None = None
    """The same without limits that it found itself."""
    cpu_cores: float | None = None
    """Cores that it uses; None: not known."""
    tripped: bool = False
    """Whether it takes nothing because what its handlers call is down."""
    ending: bool = False
    """Whether its pod is being deleted."""
    share: Share | None = None
    """The newest that it has heard of; None: none, or it obeys none."""

    @property
    def fresh(self) -> bool:
        """Whether it may decide anything."""
        return self.connected and self.age <= REPORT_FRESH_SECONDS


class Readiness(IntEnum):
    """How willingly a worker is given up; the lowest goes first."""

    NOT_STARTED = 0
    """Not ready and without a job. The ReplicaSet controller takes these first, whatever their cost."""
    IDLE = 1
    """Ready, nothing in flight."""
    ENDING = 2
    """All its jobs end within the drain timeout by their own declared timeouts."""
    BUSY = 3
    """Runs jobs that may take longer than a drain."""
    UNKNOWN = 4
    """Nothing fresh is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One pod with its report, judged."""

    pod: Pod
    report: Report | None
    readiness: Readiness

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Sort key of who is given up first: willingness, least work, newest, name."""
        return (
            self.readiness,
            self.report.in_flight if self.report else 0,
            _newest_first(self.pod.created),
            self.pod.uid,
        )

    @property
    def eviction_order(self) -> tuple[bool, bool, bool, int]:
        """The ReplicaSet controller's own order (ActivePodsWithRanks): it deletes the smallest."""
        return (self.pod.assigned, not self.pod.pending, self.pod.ready, self.pod.cost)

    @property
    def listens(self) -> bool:
        """Whether it can be told to take nothing more."""
        return self.report is not None and self.report.fresh and self.report.fenceable

    @property
    def unheard(self) -> bool:
        """Whether it runs and nothing was ever heard of it: it may be about to speak, and have a job already."""
        return self.report is None and self.pod.running

    def may_go(self, *, fence: str) -> bool:
        """Whether taking it away now interrupts nothing.

        A worker that listens must have answered with the fence in force: only then can its in-flight count rise no
        more. That holds before its first readiness check too: it takes jobs from its start. One that does not listen
        is taken on its last word, and one that is `unheard` not at once.
        """
        if self.readiness is Readiness.NOT_STARTED and not self.listens:
            return True
        if self.report is None or not self.report.fresh or self.readiness > Readiness.ENDING:
            return False
        return not self.report.fenceable or self.report.fence == fence


def judge(pod: Pod, report: Report | None, *, drain_seconds: float) -> Worker:
    """Join a pod with what its worker reports."""
    return Worker(pod=pod, report=report, readiness=_readiness(pod, report, drain_seconds=drain_seconds))


def _readiness(pod: Pod, report: Report | None, *, drain_seconds: float) -> Readiness:
    if report is None:
        return Readiness.UNKNOWN if pod.ready else Readiness.NOT_STARTED
    if not report.fresh:
        # Whatever it last said: where no container runs there is no job. A worker that crashes over and over goes here.
        return Readiness.UNKNOWN if pod.running else Readiness.NOT_STARTED
    if report.in_flight == 0:
        return Readiness.IDLE if pod.ready else Readiness.NOT_STARTED
    if report.remaining is not None and report.remaining <= drain_seconds:
        return Readiness.ENDING
    return Readiness.BUSY


def _newest_first(created: str) -> str:
    """Invert the digits, so that an ascending sort puts the newest first."""
    return created.translate(_INVERT)


_INVERT: Final = str.maketrans("0123456789", "9876543210")
