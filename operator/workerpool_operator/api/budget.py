"""The WorkerPoolBudget resource: how many worker pods several pools may have together.

Cluster-scoped, and made by whoever shares a cluster out. A pool names its budget (`spec.scaling.budget`); a budget says
which namespaces may. Its status is more than a report: it is the ledger of the seats that each pool has been given, and
the operator gives none that is not written there first. So neither a restart nor a second operator gives one twice.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError, field_validator

from workerpool_operator.api._base import Model, Name, Rule, keyed_by, rules
from workerpool_operator.api.affinity import LabelSelector
from workerpool_operator.api.errors import InvalidPoolError

BUDGET_KIND: Final = "WorkerPoolBudget"
BUDGET_PLURAL: Final = "workerpoolbudgets"
MAX_BUDGET_NAME: Final = 63
MAX_POOLS: Final = 1000
"""Pools that one budget can hold: a line of the ledger for each, and etcd takes objects of 1.5 MB."""


class BudgetMetadata(Model):
    """What is needed of a budget's metadata."""

    name: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""


class BudgetRef(Model):
    """Which budget a pool draws on."""

    name: Name = Field(description="Name of a WorkerPoolBudget.")
    priority: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Pools of a higher priority get what they want first. The budget may let it count for less.",
    )


class BudgetSpec(Model):
    """How much there is to share, and who may."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="!has(self.namespaceSelector) || !has(self.namespaceSelector.matchExpressions) || "
                "self.namespaceSelector.matchExpressions.all(one, (one.operator == 'In' || one.operator == 'NotIn') "
                "== (has(one.values) && one.values.size() > 0))",
                message="In and NotIn need values, Exists and DoesNotExist take none",
                path=".namespaceSelector",
            )
        )
    )

    max_replicas: int = Field(
        ge=0,
        le=1_000_000,
        description="Worker pods that all pools of the budget may have together, those included that still finish "
        "their jobs.",
    )
    namespace_selector: LabelSelector | None = Field(
        default=None,
        description="Labels of the namespaces whose pools may use the budget; all namespaces when unset. Other pools "
        "that name it do not grow.",
    )
    max_priority: int = Field(
        default=1000, ge=0, le=1000, description="A higher priority that a pool gives itself counts as this one."
    )


class BudgetPool(Model):
    """What one pool wants, may have, and has."""

    namespace: str = Field(max_length=63, description="Namespace of the pool.")
    name: str = Field(max_length=63, description="Name of the pool.")
    priority: int = Field(default=0, ge=0, description="Its priority, as the budget lets it count.")
    guaranteed: int = Field(default=0, ge=0, description="What it gets before anybody gets more: its minReplicas.")
    wanted: int = Field(default=0, ge=0, description="Worker pods that it would have without the budget.")
    granted: int = Field(default=0, ge=0, description="Worker pods that it may have.")
    used: int = Field(
        default=0,
        ge=0,
        description="Worker pods that it has or is about to have, those included that finish their jobs and stop. "
        "Above granted while it gives some back.",
    )


class BudgetStatus(Model):
    """Who has what. Written by the operator only."""

    observed_generation: int = Field(default=0, ge=0, description="Generation of the resource that was acted on.")
    wanted: int = Field(default=0, ge=0, description="Worker pods that all pools would have without the budget.")
    granted: int = Field(default=0, ge=0, description="Worker pods that all pools may have.")
    used: int = Field(default=0, ge=0, description="Worker pods that all pools have.")
    pools: tuple[BudgetPool, ...] = Field(
        default=(),
        max_length=MAX_POOLS,
        description="The pools that share the budget.",
        json_schema_extra=keyed_by("namespace", "name"),
    )


class WorkerPoolBudget(Model):
    """How many worker pods several pools may have together."""

    metadata: BudgetMetadata
    spec: BudgetSpec = Field(description="What there is to share.")
    status: BudgetStatus = Field(
        default=BudgetStatus(), description="Who has what. Written by the operator only, which acts on what it says."
    )

    @field_validator("status", mode="wrap")
    @classmethod
    def _unreadable_status_is_none(cls, value: Any, handler: Any) -> Any:
        """A ledger that cannot be read is begun anew, with the pods that there are."""
        try:
            return handler(value)
        except ValidationError:
            return BudgetStatus()

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name


def parse_budget(body: Mapping[str, Any]) -> WorkerPoolBudget:
    """The budget in an object from the API server.

    Raises:
        InvalidPoolError: a field is not as this program knows it.
    """
    try:
        return WorkerPoolBudget.model_validate(body)
    except ValidationError as error:
        raise InvalidPoolError.of(error) from None
