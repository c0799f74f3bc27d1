"""What `spec.placement` may hold, and what is refused of it: field and words."""

from typing import Any, Final

A: Final = {"nodeSelector": {"zone": "a"}}
B: Final = {"nodeSelector": {"zone": "b"}}

KEY_WORDS: Final = "keys are written as name or example.com/name"
VALUE_WORDS: Final = "label values have at most 63 characters"


def placement(**fields: Any) -> dict[str, Any]:
    return {"placement": fields}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "no place but the one": placement(primary=A),
    "two places": placement(primary=A, secondary=B, failoverTimeoutSeconds=15, failback="Manual"),
    "anywhere, and a refuge": placement(secondary=B),
    "a place, and anywhere else": placement(primary=A, secondary={}),
    "labels as Kubernetes has them": placement(
        primary={"nodeSelector": {"topology.kubernetes.io/zone": "west-1a", "A_b.c": "", "x": "V.1_2-3"}}
    ),
    "labels of the greatest length": placement(primary={"nodeSelector": {f"{'a' * 253}/{'b' * 63}": "c" * 63}}),
    "places of other labels": placement(primary=A, secondary={"nodeSelector": {"zone": "a", "disk": ""}}),
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "primary, a key with a space": (
        placement(primary={"nodeSelector": {"a b": "c"}}),
        "spec.placement.primary.nodeSelector",
        KEY_WORDS,
    ),
    "secondary, a prefix that is no name": (
        placement(primary=A, secondary={"nodeSelector": {"a..b/c": "d"}}),
        "spec.placement.secondary.nodeSelector",
        KEY_WORDS,
    ),
    "primary, a prefix that is too long": (
        placement(primary={"nodeSelector": {f"{'a' * 254}/b": "c"}}),
        "spec.placement.primary.nodeSelector",
        KEY_WORDS,
    ),
    "primary, a value with a space": (
        placement(primary={"nodeSelector": {"zone": "b c"}}),
        "spec.placement.primary.nodeSelector",
        VALUE_WORDS,
    ),
    "nodeSelector, a value that begins with a dash": (
        {"worker": {"image": "thumbs:1", "nodeSelector": {"zone": "-b"}}},
        "spec.worker.nodeSelector",
        VALUE_WORDS,
    ),
    "two places that are one": (
        placement(primary=A, secondary=A),
        "spec.placement.secondary",
        "primary and secondary must be different nodes",
    ),
    "two places that are anywhere": (
        placement(secondary={}),
        "spec.placement.secondary",
        "primary and secondary must be different nodes",
    ),
    "a failover at each hiccup": (
        placement(primary=A, secondary=B, failoverTimeoutSeconds=14),
        "spec.placement.failoverTimeoutSeconds",
        "greater than or equal to 15",
    ),
    "a failover after hours": (
        placement(primary=A, secondary=B, failoverTimeoutSeconds=3601),
        "spec.placement.failoverTimeoutSeconds",
        "less than or equal to 3600",
    ),
    "a failback of another kind": (
        placement(primary=A, secondary=B, failback="Never"),
        "spec.placement.failback",
        'supported values: "Auto", "Manual"',
    ),
}
