"""How chaos is allowed, and what it leaves on objects, by which anybody can undo it who knows nothing else: pure.

Allowed by a label, as Chaos Mesh does it for namespaces and kube-monkey for workloads: what has not said yes is spared.
What is made carries a label; what is changed carries the label and, as an annotation, the patch that changes it back.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from workerpool_operator.cli.chaos.table import Reach

Json = dict[str, Any]

ALLOWED_LABEL: Final = "workerpool.dev/chaos"
ALLOWED: Final = "allowed"
BROKEN_LABEL: Final = "workerpool.dev/chaos-of"
"""The pool that it was done to. On everything that was made or changed."""
UNDO_ANNOTATION: Final = "workerpool.dev/chaos-undo"
"""A merge patch in JSON; what has none was made, and is deleted."""
MEANS: Final[Mapping[Reach, str]] = {
    Reach.POOL: "wpool/POOL, or its namespace",
    Reach.NAMESPACE: "the namespace: what its pools share is hit",
    Reach.OPERATOR: "the operator's namespace: all pools of the cluster are hit",
    Reach.NODE: "the node: all that runs there is hit",
}


def allows(body: Mapping[str, Any] | None) -> bool:
    """Whether this object says that it may be broken."""
    labels = ((body or {}).get("metadata") or {}).get("labels") or {}
    return bool(labels.get(ALLOWED_LABEL) == ALLOWED)


def made(name: str, namespace: str, *, pool: str, labels: Mapping[str, str] | None = None) -> Json:
    """Metadata of what is made for a play."""
    return {"name": name, "namespace": namespace, "labels": {**(labels or {}), BROKEN_LABEL: pool}}


def broken(patch: Json, *, undo: Json, pool: str) -> Json:
    """The patch that breaks an object, with the one in it that mends it."""
    marks = {"labels": {BROKEN_LABEL: pool}, "annotations": {UNDO_ANNOTATION: json.dumps(undo, sort_keys=True)}}
    return {**patch, "metadata": marks}


def undoing(body: Mapping[str, Any]) -> Json | None:
    """The patch that mends an object and takes the marks off it; None for one that was made, and is to be deleted.

    Raises:
        ValueError: its annotation is none of ours.
    """
    metadata = body["metadata"]
    written = (metadata.get("annotations") or {}).get(UNDO_ANNOTATION)
    if written is None:
        return None
    undo = json.loads(written)
    # An annotation is anybody's who may write the object, and this runs with another one's rights.
    if not isinstance(undo, dict) or undo.keys() != {"spec"}:
        raise ValueError(f"{UNDO_ANNOTATION} of {metadata['name']} is not one that wpool chaos writes")
    return {**undo, "metadata": {"labels": {BROKEN_LABEL: None}, "annotations": {UNDO_ANNOTATION: None}}}
