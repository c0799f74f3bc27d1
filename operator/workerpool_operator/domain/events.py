"""Which events tell of a pool, and which of them are warnings: those that somebody should look at.

Two kinds: what happened is told once; what is wrong is told when it begins, as a warning, and when it is over.
"""

from collections.abc import Mapping
from typing import Final

from workerpool_operator.api import ConditionType, Reason

HAPPENED: Final[Mapping[Reason, bool]] = {
    Reason.SCALED_UP: False,
    Reason.SCALED_DOWN: False,
    Reason.VERSION_CREATED: False,
    Reason.VERSION_REMOVED: False,
    Reason.VERSION_REPLACED: False,
    Reason.CANARY_STARTED: False,
    Reason.CANARY_SUPERSEDED: False,
    Reason.CANARY_WITHDRAWN: False,
    Reason.CANARY_STEPPED: False,
    Reason.CANARY_PROMOTED: False,
    Reason.CANARY_REJECTED: True,
    Reason.ROLLOUT_PAUSED: False,
    Reason.ROLLOUT_RESUMED: False,
    Reason.COMMAND_REFUSED: True,
    Reason.WORKER_RESTARTED: True,
    Reason.WORKER_DRAINED: False,
    Reason.VICTIM_MISMATCH: True,
    Reason.DRIFT_CORRECTED: False,
    Reason.INVALID_SPEC: True,
}
"""What may happen, and whether that is a warning."""

WRONG: Final[Mapping[ConditionType, frozenset[Reason]]] = {
    ConditionType.READY: frozenset(
        {
            Reason.IMAGE_PULL_FAILED,
            Reason.CRASH_LOOPING,
            Reason.UNSCHEDULABLE,
            Reason.CONFIG_MISSING,
            Reason.QUOTA_EXCEEDED,
            Reason.APPLY_REFUSED,
        }
    ),
    ConditionType.PROGRESSING: frozenset({Reason.PROGRESS_DEADLINE_EXCEEDED}),
    ConditionType.SCALING_ACTIVE: frozenset(
        {
            Reason.METRICS_UNAVAILABLE,
            Reason.METRICS_DISAGREE,
            Reason.KEDA_NOT_INSTALLED,
            Reason.FORBIDDEN,
            Reason.BUDGET_NOT_FOUND,
            Reason.BUDGET_UNREADABLE,
            Reason.BUDGET_REFUSED,
        }
    ),
    ConditionType.QUEUE_REACHABLE: frozenset(
        {
            Reason.UNREACHABLE,
            Reason.AUTHENTICATION_FAILED,
            Reason.CREDENTIALS_MISSING,
            Reason.TLS_FAILED,
            Reason.QUEUE_NOT_FOUND,
            Reason.SCHEMA_MISMATCH,
            Reason.BAD_ANSWER,
            Reason.SAMPLES_STALE,
            Reason.COLLECTOR_DOWN,
        }
    ),
    ConditionType.MONITORED: frozenset({Reason.APPLY_REFUSED, Reason.FORBIDDEN, Reason.QUOTA_EXCEEDED}),
    ConditionType.PLACED: frozenset({Reason.FAILED_OVER}),
    ConditionType.STALLED: frozenset(
        {
            Reason.RENDER_ERROR,
            Reason.APPLY_REFUSED,
            Reason.FORBIDDEN,
            Reason.QUOTA_EXCEEDED,
            Reason.WORKERS_STUCK,
            Reason.ALL_WORKERS_STUCK,
        }
    ),
}
"""Condition -> those of its reasons that are a warning."""
