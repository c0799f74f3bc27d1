"""What the judges of a pool's conditions look at, and how they say what they found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from workerpool_operator.api import ConditionStatus, Reason
from workerpool_operator.domain.layout import Group, groups
from workerpool_operator.domain.plan import Plan
from workerpool_operator.domain.snapshot import Snapshot

COLLECTOR_GRACE_SECONDS: Final = 45.0
"""How long a collector may take to come up before its absence is called a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A write that the API server refused, in the resource's own terms."""

    reason: Reason
    message: str
    kind: str = ""
    """Of the object that was refused."""
    optional: bool = False
    """Whether the pool works without what was refused."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of a condition."""

    status: ConditionStatus
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the judges look at."""

    snapshot: Snapshot
    plan: Plan
    refusals: Sequence[Refusal]

    @property
    def groups(self) -> dict[str, Group]:
        """The workers by revision, without those that count as lost."""
        return groups(self.snapshot)

    @property
    def ready(self) -> int:
        """Ready workers of all versions."""
        return sum(group.ready for group in self.groups.values())

    @property
    def holding(self) -> tuple[str, ...]:
        """The revisions that are to have workers: one, or while a version is tried two."""
        return self.plan.versions.holding if self.plan.versions else ()

    @property
    def ready_in_target(self) -> int:
        """Ready workers of what is wanted."""
        there = self.groups
        return sum(there[name].ready for name in self.holding if name in there)

    @property
    def just_began(self) -> bool:
        """Whether this leader has heard nothing of the queues, and may only be too young for it.

        What its predecessor said of them holds until then: a change of operator is no news about a queue.
        """
        age = self.snapshot.now - self.plan.memory.history.since
        return age < COLLECTOR_GRACE_SECONDS and not self.snapshot.samples and not self.snapshot.errors

    @property
    def wanted(self) -> int:
        """The size that the pool is brought to."""
        return self.plan.size


Judge: TypeAlias = Callable[[Case], Verdict | None]
