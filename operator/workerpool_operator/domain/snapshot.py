"""Everything that one plan follows from, frozen: the pool, its children as observed, what its collector says, now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from workerpool_operator.api import Reason, ScalingMode, WorkerPool
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.desired import PLACE_LABEL, RuleSettings
from workerpool_operator.domain.placement import Held, Places
from workerpool_operator.domain.rollout.evidence import Evidence
from workerpool_operator.domain.rollout.judge import Watch
from workerpool_operator.domain.rollout.ledger import PodState, Reading
from workerpool_operator.domain.rollout.steps import State
from workerpool_operator.domain.scaling import (
    Forecast,
    History,
    HpaMemory,
    Pod,
    Report,
    Sample,
    ScaleInMemory,
    SeatMemory,
    Shares,
    Traffic,
)
from workerpool_operator.domain.shields import Shields
from workerpool_operator.domain.stuck import Conduct, Restarts, Waiting

Body: TypeAlias = Mapping[str, Any]

VERSION_LABEL: Final = "workerpool.dev/version"
REVISION_LABEL: Final = "workerpool.dev/revision"
DELETION_COST_ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """An object that the pool owns, as observed."""

    uid: str
    resource_version: str
    body: Body

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        labels: Mapping[str, str] = self.body["metadata"].get("labels", {})
        return labels

    @property
    def place(self) -> str:
        """Key of a Deployment's place; empty: any node."""
        return self.labels.get(PLACE_LABEL, "")

    @property
    def replicas(self) -> int:
        """A Deployment's `spec.replicas`."""
        return int(self.body.get("spec", {}).get("replicas", 1))

    @property
    def ready(self) -> int:
        """A Deployment's ready pods."""
        return int(self.body.get("status", {}).get("readyReplicas", 0))

    @property
    def existing(self) -> int:
        """A Deployment's pods that are not being deleted."""
        return int(self.body.get("status", {}).get("replicas", 0))

    @property
    def create_failure(self) -> str:
        """Why a Deployment's pods cannot be created, in the API server's words; empty when they can."""
        for condition in self.body.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                return str(condition.get("message", "")) or str(condition.get("reason", ""))
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTrouble:
    """Why a pod of the pool does not become ready."""

    pod: str
    reason: str
    """The kubelet's or the scheduler's own word: ErrImagePull, CrashLoopBackOff, Unschedulable, ..."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodList:
    """The pool's pods, listed for this plan."""

    active: tuple[Pod, ...]
    terminating: frozenset[str] = frozenset()
    """Uids of those that are being deleted and have not ended."""
    troubles: tuple[PodTrouble, ...] = ()


class Absence(StrEnum):
    """Why a kind that the operator can do without is not used."""

    NOT_SERVED = "NotServed"
    """The cluster does not know it: its definition is not installed."""
    FORBIDDEN = "Forbidden"
    """The operator may not list it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """The pool's alerts: the rule as observed, and what the installation says about rules."""

    settings: RuleSettings
    rule: Child | None = None
    absence: Absence | None = None
    """Set where there can be no rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keda:
    """What mode keda needs, as observed."""

    scaled_object: Child | None = None
    answer: Child | None = None
    """The ConfigMap that tells KEDA what is wanted."""
    absence: Absence | None = None
    """Set where there can be no ScaledObject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """What the budget that the pool names lets it have."""

    budget: str
    granted: int | None = None
    reserved: int = 0
    """What the budget's ledger keeps for the pool: what it may have, or still holds."""
    reason: Reason = Reason.BUDGET_PENDING
    """Where nothing is granted: why."""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How versions follow each other. All but the watch is in the status as well, for the next leader."""

    state: State
    evidence: Evidence
    watch: Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a pool's next plan must know of the last, and Kubernetes does not hold. A new leader starts afresh."""

    history: History
    scale_in: ScaleInMemory
    unready_since: float | None = None
    """Since when fewer workers are ready than wanted."""
    starting_since: float | None = None
    """Since when there are pods that are not ready, while this is so."""
    pods_listed_at: float | None = None
    status_written_at: float | None = None
    status_took: float = 0.0
    """Seconds until the last write of the status was answered."""
    pod_start_seconds: float = 0.0
    """How long workers took to become ready the last time some had to."""
    hpa: HpaMemory | None = None
    """In modes hpa and keda."""
    restarts: Restarts = field(default_factory=Restarts)
    shields: Shields = field(default_factory=Shields)
    rollout: Rollout | None = None
    """With strategy Canary."""
    seats: SeatMemory | None = None
    """With a budget."""
    shares: Shares = field(default_factory=Shares)
    """With a rate limit that the broker cannot count."""
    held: Mapping[str, Held] | None = None
    """With two places: by Deployment, who counts as lost. None: this leader has not looked yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The input of `plan`. Children are keyed by name."""

    pool: WorkerPool
    facts: ClusterFacts
    deployments: Mapping[str, Child]
    revisions: Mapping[str, Child]
    budget: Child | None
    autoscaler: Child | None
    monitoring: Monitoring
    keda: Keda = field(default_factory=Keda)
    account_usable: bool = True
    """Whether the service account that the pool names may be used by pools."""
    collectors: int
    """Streams that the namespace's collectors hold to this operator."""
    samples: tuple[Sample, ...]
    errors: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    """Queue -> why its latest reading failed, as a reason and in words."""
    reports: Mapping[str, Report] = field(default_factory=dict)
    """Pod uid -> its worker's newest report."""
    conducts: Mapping[str, Conduct] = field(default_factory=dict)
    """Pod uid -> what its worker has done of late, where it holds a stream."""
    readings: tuple[Reading, ...] = ()
    """The counters of all workers that are heard of."""
    pod_states: tuple[PodState, ...] = ()
    """What Kubernetes says of the pods whose workers are heard of, and of those that are not well."""
    unheard: Mapping[str, float] = field(default_factory=dict)
    """Uid of a ready pod whose worker nobody hears -> for how many seconds."""
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Queue -> how long jobs have been waiting in it."""
    traffic: Traffic = field(default_factory=Traffic)
    """How fast jobs come, and how long they take."""
    forecast: Forecast | None = None
    """How fast they are expected to come; None: nobody has said anything of it."""
    seats: Seats | None = None
    """None: the pool names no budget."""
    places: Places = field(default_factory=Places)
    """Where workers belong, and who is lost."""
    pods: PodList | None = None
    """None: not listed. A plan that needs them says so, and is made again."""
    memory: Memory
    now: float
    wall_time: datetime
    """For times that people read or wrote, and schedules: nothing else is decided by it."""

    @property
    def mode(self) -> ScalingMode:
        """The mode in force: `auto` resolved."""
        return self.facts.mode(self.pool.spec.scaling.mode)
