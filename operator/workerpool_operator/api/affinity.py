"""Where workers may run: affinity and topology spread, without references into other namespaces."""

from typing import Literal

from pydantic import Field

from workerpool_operator.api._base import ATOMIC, LabelKey, Model, Text


class NodeRequirement(Model):
    """A condition on a node's labels or fields."""

    key: LabelKey = Field(description="Label key, or field name in matchFields.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How the key is compared with the values."
    )
    values: tuple[Text, ...] | None = Field(
        default=None, max_length=256, description="Values to compare with.", json_schema_extra=ATOMIC
    )


class NodeTerm(Model):
    """Conditions on a node that must all hold."""

    match_expressions: tuple[NodeRequirement, ...] | None = Field(
        default=None, max_length=32, description="Conditions on labels.", json_schema_extra=ATOMIC
    )
    match_fields: tuple[NodeRequirement, ...] | None = Field(
        default=None, max_length=32, description="Conditions on fields.", json_schema_extra=ATOMIC
    )


class NodeTerms(Model):
    """Terms of which one must hold."""

    node_selector_terms: tuple[NodeTerm, ...] = Field(
        min_length=1, max_length=32, description="One of these must hold.", json_schema_extra=ATOMIC
    )


class WeightedNodeTerm(Model):
    """A preference for some nodes."""

    weight: int = Field(ge=1, le=100, description="How much it counts.")
    preference: NodeTerm = Field(description="The nodes that are preferred.")


class NodeAffinity(Model):
    """On which nodes workers run."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = Field(
        default=None, description="Nodes that are not matched are never used."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedNodeTerm, ...] | None = Field(
        default=None,
        max_length=32,
        description="Nodes that are used first.",
        json_schema_extra=ATOMIC,
    )


class LabelRequirement(Model):
    """A condition on an object's labels."""

    key: LabelKey = Field(description="Label key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label is compared with the values."
    )
    values: tuple[Text, ...] | None = Field(
        default=None, max_length=256, description="Values to compare with.", json_schema_extra=ATOMIC
    )


class LabelSelector(Model):
    """Conditions on labels that must all hold."""

    match_labels: dict[str, Text] | None = Field(
        default=None, max_length=32, description="Labels with exactly these values."
    )
    match_expressions: tuple[LabelRequirement, ...] | None = Field(
        default=None, max_length=32, description="Further conditions.", json_schema_extra=ATOMIC
    )


class PodTerm(Model):
    """Pods of the pool's namespace, and how near they are."""

    topology_key: LabelKey = Field(
        description="Node label: nodes with the same value count as one place, such as kubernetes.io/hostname."
    )
    label_selector: LabelSelector | None = Field(default=None, description="The pods, in the pool's namespace.")
    match_label_keys: tuple[LabelKey, ...] | None = Field(
        default=None,
        max_length=16,
        description="Label keys whose value must equal the new pod's.",
        json_schema_extra=ATOMIC,
    )
    mismatch_label_keys: tuple[LabelKey, ...] | None = Field(
        default=None,
        max_length=16,
        description="Label keys whose value must differ from the new pod's.",
        json_schema_extra=ATOMIC,
    )


class WeightedPodTerm(Model):
    """A preference for or against being near some pods."""

    weight: int = Field(ge=1, le=100, description="How much it counts.")
    pod_affinity_term: PodTerm = Field(description="The pods.")


class PodAffinity(Model):
    """Near or away from which pods workers run."""

    required_during_scheduling_ignored_during_execution: tuple[PodTerm, ...] | None = Field(
        default=None, max_length=32, description="Must hold.", json_schema_extra=ATOMIC
    )
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodTerm, ...] | None = Field(
        default=None, max_length=32, description="Is tried first.", json_schema_extra=ATOMIC
    )


class Affinity(Model):
    """Which nodes workers prefer or need, and which pods they like to be near to."""

    node_affinity: NodeAffinity | None = Field(default=None, description="On which nodes workers run.")
    pod_affinity: PodAffinity | None = Field(default=None, description="Near which pods workers run.")
    pod_anti_affinity: PodAffinity | None = Field(default=None, description="Away from which pods workers run.")


class TopologySpread(Model):
    """How evenly workers lie over nodes or zones."""

    max_skew: int = Field(ge=1, description="By how many pods two places may differ.")
    topology_key: LabelKey = Field(
        description="Node label: nodes with the same value count as one place, such as topology.kubernetes.io/zone."
    )
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        description="Whether a pod that would break the rule waits, or is placed where it breaks it least."
    )
    label_selector: LabelSelector | None = Field(
        default=None, description="The pods that are counted; the pool's workers when unset."
    )
    min_domains: int | None = Field(default=None, ge=1, description="Places that must exist, for DoNotSchedule.")
    node_affinity_policy: Literal["Honor", "Ignore"] | None = Field(
        default=None, description="Whether nodes that nodeSelector and affinity exclude are counted."
    )
    node_taints_policy: Literal["Honor", "Ignore"] | None = Field(
        default=None, description="Whether nodes with taints that are not tolerated are counted."
    )
    match_label_keys: tuple[LabelKey, ...] | None = Field(
        default=None,
        max_length=16,
        description="Label keys whose value must equal the new pod's.",
        json_schema_extra=ATOMIC,
    )
