"""Whether labels are selected, as Kubernetes does it."""

from collections.abc import Mapping

from workerpool_operator.api import LabelSelector


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether all conditions hold; no selector selects everything."""
    if selector is None:
        return True
    if any(labels.get(key) != value for key, value in (selector.match_labels or {}).items()):
        return False
    for one in selector.match_expressions or ():
        there = one.key in labels
        among = there and labels[one.key] in (one.values or ())
        holds = {"In": among, "NotIn": not among, "Exists": there, "DoesNotExist": not there}
        if not holds[one.operator]:
            return False
    return True
