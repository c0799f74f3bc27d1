"""Pure builders of the objects that a pool needs, as plain JSON for server-side apply.

Each builder names every field that the operator owns, every time: a field that was applied once and then left out is
given up. What is empty is left out, because the API server drops it too, and amounts are spelled as it spells them.
"""

from workerpool_operator.domain.desired.autoscaler import autoscaler
from workerpool_operator.domain.desired.collector import CollectorSettings, collector
from workerpool_operator.domain.desired.controller_revision import Revision, revision_for, stored_template
from workerpool_operator.domain.desired.deployment import PROGRESS_DEADLINE_SECONDS, deployment
from workerpool_operator.domain.desired.hashes import Hashes, hashes
from workerpool_operator.domain.desired.names import (
    COLLECTOR_NAME,
    COMPONENT_LABEL,
    DELETION_COST,
    MANAGED_BY_LABEL,
    MANAGER,
    POOL_LABEL,
    RESTART_ANNOTATION,
    REVISION_LABEL,
    USABLE_LABEL,
    VERSION_LABEL,
    WORKER,
    RenderError,
    selector,
)
from workerpool_operator.domain.desired.pdb import disruption_budget
from workerpool_operator.domain.desired.places import (
    PLACE_LABEL,
    deployment_name,
    place_key,
    placed,
    revision_of,
    unplaced,
)
from workerpool_operator.domain.desired.prometheus_rule import RuleSettings, depth_target, prometheus_rule
from workerpool_operator.domain.desired.quantity import number
from workerpool_operator.domain.desired.scaled_object import answer, answer_name, scaled_object

__all__ = [
    "COLLECTOR_NAME",
    "COMPONENT_LABEL",
    "DELETION_COST",
    "MANAGED_BY_LABEL",
    "MANAGER",
    "PLACE_LABEL",
    "POOL_LABEL",
    "PROGRESS_DEADLINE_SECONDS",
    "RESTART_ANNOTATION",
    "REVISION_LABEL",
    "USABLE_LABEL",
    "VERSION_LABEL",
    "WORKER",
    "CollectorSettings",
    "Hashes",
    "RenderError",
    "Revision",
    "RuleSettings",
    "answer",
    "answer_name",
    "autoscaler",
    "collector",
    "deployment",
    "deployment_name",
    "depth_target",
    "disruption_budget",
    "hashes",
    "number",
    "place_key",
    "placed",
    "prometheus_rule",
    "revision_for",
    "revision_of",
    "scaled_object",
    "selector",
    "stored_template",
    "unplaced",
]
