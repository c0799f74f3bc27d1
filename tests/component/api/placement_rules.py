"""What `spec.placement` may hold, and what is refused of it: field and words."""

from typing import Any, Final

A: Final = {"nodeSelector": {"zone": "a"}}
B: Final = {"nodeSelector": {"zone": "b"}}


def placement(**fields: Any) -> dict[str, Any]:
    return {"placement": fields}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "no place but the one": placement(primary=A),
    "two places": placement(primary=A, secondary=B, failoverTimeoutSeconds=15, failback="Manual"),
    "anywhere, and a refuge": placement(secondary=B),
    "a place, and anywhere else": placement(primary=A, secondary={}),
    "places of other labels": placement(primary=A, secondary={"nodeSelector": {"zone": "a", "disk": ""}}),
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
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
