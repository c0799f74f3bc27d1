"""Whether a Prometheus reads the metrics of operator and workers, as far as monitors tell: pure.

Without them no alert fires, although its rule is there and evaluated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import LabelSelector
from workerpool_operator.cli.doctor.chosen import POD_MONITORS, SERVICE_MONITORS, Taking, lacks, settings
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Json, Level, Seen, some, upgrade
from workerpool_operator.domain.desired import COMPONENT_LABEL, MANAGED_BY_LABEL, MANAGER, POOL_LABEL, WORKER
from workerpool_operator.domain.selector import selects

_PAGE: Final = "docs/how-to/alerts.md#if-prometheus-does-not-find-them"
_SCRAPERS: Final = frozenset({"Prometheus", "PrometheusAgent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The workers, or the operator: what there is to read, and through which monitors."""

    whose: str
    kind: str
    taking: Taking
    monitors: Sequence[Json]
    targets: Mapping[str, tuple[str, Mapping[str, str]]]
    """Namespace and labels, by the name that is told."""

    def said(self, level: Level, text: str, remedy: str = "") -> Finding:
        """A finding of it."""
        return Finding(subject=f"metrics of {self.whose}", level=level, text=text, remedy=remedy)

    def worse(self, text: str, remedy: str, scrapers: Sequence[Json]) -> Finding:
        """Not wrong for sure where something else may read them, which nobody sees here.

        A Prometheus what was written for it by hand, or another program, where there is no such resource.
        """
        by_hand = any((one.get("spec") or {}).get("additionalScrapeConfigs") for one in scrapers)
        if by_hand:
            text += "; unless its additionalScrapeConfigs name them"
        return self.said(Level.NOTE if by_hand or not scrapers else Level.BAD, text, remedy)


def check(seen: Seen) -> Iterator[Finding]:
    """One finding for the workers, one for the operator."""
    if not seen.monitors_served:
        yield _unseen(
            "PodMonitors and ServiceMonitors are not known here: whether a Prometheus reads operator and workers "
            "cannot be seen",
            "install the prometheus-operator, or see docs/how-to/alerts.md#what-is-scraped for what to have read",
        )
        return
    for what in (seen.pod_monitors, seen.service_monitors, seen.evaluators):
        if isinstance(what, Hidden):
            text = f"whether a Prometheus reads operator and workers was not looked at: {what.why}"
            yield _unseen(text, _WHO_MAY)
            return
    assert not isinstance(seen.evaluators, Hidden)
    scrapers = [one for one in seen.evaluators if one["kind"] in _SCRAPERS]
    for side in _sides(seen):
        yield _judged(side, scrapers, seen)


_WHO_MAY: Final = "have it looked at by someone who may list podmonitors, servicemonitors and prometheuses"


def _sides(seen: Seen) -> Iterator[_Side]:
    assert not isinstance(seen.pod_monitors, Hidden)
    assert not isinstance(seen.service_monitors, Hidden)
    if not isinstance(seen.pools, Hidden) and seen.pools:
        yield _Side(
            whose="workers",
            kind="PodMonitor",
            taking=POD_MONITORS,
            monitors=seen.pod_monitors,
            targets={_name(one): (one["metadata"]["namespace"], _worker_labels(one)) for one in seen.pools},
        )
    if not isinstance(seen.operators, Hidden) and seen.operators:
        yield _Side(
            whose="the operator",
            kind="ServiceMonitor",
            taking=SERVICE_MONITORS,
            monitors=seen.service_monitors,
            # The Service has the labels of the Deployment: the chart gives both the same.
            targets={
                _name(one): (one["metadata"]["namespace"], one["metadata"].get("labels") or {})
                for one in seen.operators
            },
        )


def _judged(side: _Side, scrapers: Sequence[Json], seen: Seen) -> Finding:
    naming = [one for one in side.monitors if any(_names(one, *target) for target in side.targets.values())]
    unnamed = {name for name, target in side.targets.items() if not any(_names(one, *target) for one in side.monitors)}
    taken = [one for one in naming if any(side.taking.takes(by, one, seen.homes) for by in scrapers)]
    unread = {name for name, target in side.targets.items() if not any(_names(one, *target) for one in taken)}
    if unnamed:
        text = f"no {side.kind} names {side.whose} ({some(unnamed)})"
        return side.worse(
            f"{text}, so no alert of them fires", _with("--set monitoring.enabled=true", seen=seen), scrapers
        )
    if not scrapers:
        text = f"a {side.kind} names {side.whose}; no Prometheus resource is here, so who takes it cannot be seen"
        return side.said(Level.GOOD, text)
    if unread:
        wanted = side.taking.wanted(scrapers)
        labelled = wanted and all(lacks(one, wanted) for one in naming)
        remedy = _with(*settings("monitoring.labels", wanted), seen=seen) if labelled else f"{_PAGE} tells how"
        text = (
            f"no Prometheus takes the {side.kind} of {side.whose} ({some(unread)}), so no alert of them fires: "
            f"{side.taking.told(scrapers)}"
        )
        return side.worse(text, remedy, scrapers)
    return side.said(Level.GOOD, f"a Prometheus takes the {side.kind} of {side.whose}")


def _with(*words: str, seen: Seen) -> str:
    operators = [] if isinstance(seen.operators, Hidden) else seen.operators
    return f"{upgrade(operators[0], *words)}; {_PAGE} tells more" if operators else f"{_PAGE} tells how"


def _unseen(text: str, remedy: str) -> Finding:
    return Finding(subject="metrics", level=Level.NOTE, text=text, remedy=remedy)


def _names(monitor: Json, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a monitor chooses what has these labels; what cannot be decided counts as chosen."""
    spec: Json = monitor.get("spec") or {}
    within: Json = spec.get("namespaceSelector") or {}
    places = within.get("matchNames") or [monitor["metadata"]["namespace"]]
    if not within.get("any") and namespace not in places:
        return False
    selector: Any = spec.get("selector")
    try:
        return selector is not None and selects(LabelSelector.model_validate(selector), labels)
    except ValueError:
        return True


def _worker_labels(pool: Json) -> Mapping[str, str]:
    own = ((pool.get("spec") or {}).get("worker") or {}).get("podLabels") or {}
    return own | {
        MANAGED_BY_LABEL: MANAGER,
        COMPONENT_LABEL: WORKER,
        POOL_LABEL: pool["metadata"]["name"],
    }


def _name(one: Json) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"
