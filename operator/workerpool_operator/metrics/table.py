"""The reference table of metrics, made from their own help texts so that it cannot tell anything else."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Metric

_HEAD: Final = ("| Metric | Type | Labels | Meaning |", "|---|---|---|---|")
_OF_THE_FORMAT: Final = {"le"}


def markdown(families: Iterable[Metric]) -> str:
    """A Markdown table of `families`, by name. Labels are those of their samples, so each needs at least one."""
    rows = [_row(family) for family in sorted(families, key=lambda family: family.name)]
    return "\n".join((*_HEAD, *rows)) + "\n"


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ", ".join(f"`{label}`" for label in _labels(family))
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def _labels(family: Metric) -> list[str]:
    if not family.samples:
        raise ValueError(f"{family.name} has no sample to take its labels from")
    names = dict.fromkeys(label for sample in family.samples for label in sample.labels)
    return [name for name in names if name not in _OF_THE_FORMAT]
