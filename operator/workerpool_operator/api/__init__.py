"""The WorkerPool resource: models, conditions, reasons, and the CRD that is generated from them.

The models are the one hand-written definition. `python -m workerpool_operator.api` writes the CRD and the reference
page from them. Fields come with the feature that acts on them: none is declared before.
"""

from workerpool_operator.api._base import Model, label_fault
from workerpool_operator.api.affinity import LabelSelector
from workerpool_operator.api.alerts import AlertsSpec, AlertThresholds
from workerpool_operator.api.brokers import RedisStream
from workerpool_operator.api.budget import (
    BUDGET_KIND,
    BUDGET_PLURAL,
    MAX_POOLS,
    BudgetPool,
    BudgetRef,
    BudgetStatus,
    WorkerPoolBudget,
    parse_budget,
)
from workerpool_operator.api.conditions import Condition, ConditionStatus, ConditionType, find
from workerpool_operator.api.delivery import DeliverySpec
from workerpool_operator.api.errors import InvalidPoolError
from workerpool_operator.api.placement import (
    PLACE_ANNOTATION,
    PLACE_SAID_ANNOTATION,
    Failback,
    PlacementSpec,
    PlacementStatus,
    PlaceSpec,
)
from workerpool_operator.api.pod import CONTRACT_ENV, CONTRACT_ENV_PREFIXES, EnvVar, Resources, SecretKeyRef
from workerpool_operator.api.pool import (
    API_VERSION,
    GROUP,
    KIND,
    MAX_NAME,
    PLURAL,
    VERSION,
    Metadata,
    WorkerPool,
    parse,
)
from workerpool_operator.api.predictive import PredictiveMode, PredictiveSpec, PredictiveStatus
from workerpool_operator.api.queues import TLS, CARef, ClientCertRef, Credentials, QueueSpec, SecretValue
from workerpool_operator.api.reasons import Limiter, Reason
from workerpool_operator.api.rollout import (
    Analysis,
    Idle,
    Inconclusive,
    ObjectiveStatus,
    RolloutSpec,
    RolloutStatus,
    RolloutStep,
    Strategy,
)
from workerpool_operator.api.sidecar import Sidecar
from workerpool_operator.api.slo import SloSpec
from workerpool_operator.api.spec import (
    DEFAULT_DEPTH_PER_REPLICA,
    DisruptionSpec,
    FallbackBehavior,
    FallbackSpec,
    ScaleDownSpec,
    ScaleUpSpec,
    ScalingMode,
    ScalingSpec,
    ScheduleSpec,
    Targets,
    WorkerPoolSpec,
)
from workerpool_operator.api.status import (
    BudgetShare,
    QueueStatus,
    ScalingStatus,
    ScalingTerm,
    VersionStatus,
    WorkerPoolStatus,
)
from workerpool_operator.api.worker import ImagePullPolicy, LivenessProbe, Probe, ReadinessProbe, WorkerSpec

__all__ = [
    "API_VERSION",
    "BUDGET_KIND",
    "BUDGET_PLURAL",
    "CONTRACT_ENV",
    "CONTRACT_ENV_PREFIXES",
    "DEFAULT_DEPTH_PER_REPLICA",
    "GROUP",
    "KIND",
    "MAX_NAME",
    "MAX_POOLS",
    "PLACE_ANNOTATION",
    "PLACE_SAID_ANNOTATION",
    "PLURAL",
    "TLS",
    "VERSION",
    "AlertThresholds",
    "AlertsSpec",
    "Analysis",
    "BudgetPool",
    "BudgetRef",
    "BudgetShare",
    "BudgetStatus",
    "CARef",
    "ClientCertRef",
    "Condition",
    "ConditionStatus",
    "ConditionType",
    "Credentials",
    "DeliverySpec",
    "DisruptionSpec",
    "EnvVar",
    "Failback",
    "FallbackBehavior",
    "FallbackSpec",
    "Idle",
    "ImagePullPolicy",
    "Inconclusive",
    "InvalidPoolError",
    "LabelSelector",
    "Limiter",
    "LivenessProbe",
    "Metadata",
    "Model",
    "ObjectiveStatus",
    "PlaceSpec",
    "PlacementSpec",
    "PlacementStatus",
    "PredictiveMode",
    "PredictiveSpec",
    "PredictiveStatus",
    "Probe",
    "QueueSpec",
    "QueueStatus",
    "ReadinessProbe",
    "Reason",
    "RedisStream",
    "Resources",
    "RolloutSpec",
    "RolloutStatus",
    "RolloutStep",
    "ScaleDownSpec",
    "ScaleUpSpec",
    "ScalingMode",
    "ScalingSpec",
    "ScalingStatus",
    "ScalingTerm",
    "ScheduleSpec",
    "SecretKeyRef",
    "SecretValue",
    "Sidecar",
    "SloSpec",
    "Strategy",
    "Targets",
    "VersionStatus",
    "WorkerPool",
    "WorkerPoolBudget",
    "WorkerPoolSpec",
    "WorkerPoolStatus",
    "WorkerSpec",
    "find",
    "label_fault",
    "parse",
    "parse_budget",
]
