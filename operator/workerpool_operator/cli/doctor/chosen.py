"""What a resource of the prometheus-operator takes, by its selectors: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import LabelSelector
from workerpool_operator.cli.doctor.seen import Json
from workerpool_operator.domain.selector import selects


@dataclass(frozen=True, slots=True)
class Taking:
    """One kind of objects that is chosen, such as `rule`: by `ruleSelector` and `ruleNamespaceSelector`."""

    what: str

    @property
    def _selectors(self) -> tuple[str, str]:
        return f"{self.what}Selector", f"{self.what}NamespaceSelector"

    def takes(self, taker: Json, one: Json, namespaces: Mapping[str, Json]) -> bool:
        """As the prometheus-operator chooses; what cannot be decided counts as taken.

        `namespaces`: those that are known, by name.
        """
        objects, places = self._selectors
        spec: Json = taker.get("spec") or {}
        namespace = one["metadata"]["namespace"]
        if not _chosen(spec.get(objects), one["metadata"].get("labels") or {}):
            return False
        if spec.get(places) is None:
            return bool(namespace == taker["metadata"]["namespace"])
        if namespace not in namespaces:
            return True
        return _chosen(spec[places], namespaces[namespace]["metadata"].get("labels") or {})

    def told(self, takers: Sequence[Json]) -> str:
        """Which each of them takes, in its own words."""
        return "; ".join(
            f"{one['kind']} {one['metadata']['namespace']}/{one['metadata']['name']} takes {self._asked(one)}"
            for one in takers
        )

    def _asked(self, taker: Json) -> str:
        spec: Json = taker.get("spec") or {}
        found = []
        for name in self._selectors:
            selector = spec.get(name)
            labels = _labels(selector)
            if selector is None:
                found.append(f"{name} unset")
            elif labels:
                found.append(f"{name} {','.join(f'{key}={value}' for key, value in labels.items())}")
            elif selector:
                found.append(f"{name} with expressions")
        return " and ".join(found) or "all"

    def wanted(self, takers: Sequence[Json]) -> Mapping[str, str]:
        """Labels that the first of them that names some wants."""
        selectors = ((one.get("spec") or {}).get(self._selectors[0]) for one in takers)
        return next((labels for one in selectors if (labels := _labels(one))), {})


RULES: Final = Taking("rule")
POD_MONITORS: Final = Taking("podMonitor")
SERVICE_MONITORS: Final = Taking("serviceMonitor")


def lacks(one: Json, wanted: Mapping[str, str]) -> bool:
    """Whether an object does not have all of these labels."""
    return not wanted.items() <= (one["metadata"].get("labels") or {}).items()


def settings(value: str, labels: Mapping[str, str]) -> list[str]:
    """Words for Helm that set labels at this value of the chart."""
    return [f"--set {value}.{_escaped(key)}={label}" for key, label in labels.items()]


def _chosen(selector: Any, labels: Mapping[str, str]) -> bool:
    """No selector chooses nothing, an empty one everything."""
    if selector is None:
        return False
    try:
        return selects(LabelSelector.model_validate(selector), labels)
    except ValueError:
        return True


def _labels(selector: Any) -> Mapping[str, str]:
    return (selector or {}).get("matchLabels") or {}


def _escaped(key: str) -> str:
    """As a name of a value for Helm."""
    return "'" + key.replace(".", "\\.") + "'" if "." in key else key
