"""From PodMonitors, ServiceMonitors and PrometheusRules to Prometheus' own configuration: pure.

It does what prometheus-operator 0.93 does (``pkg/prometheus/promcfg.go``) for the fields that this project uses. A
field that it does not know is an error, since to pass over it in silence would make a test green for a configuration
that no cluster has.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

Json = dict[str, Any]

MAIN: Final = "prometheus.yml"
_DEFAULT_INTERVAL: Final = "30s"
"""The prometheus-operator's default for scraping and for evaluating, where nobody says otherwise."""
_META: Final = "__meta_kubernetes_"
_LIMITS: Final = {"sampleLimit": "sample_limit", "labelLimit": "label_limit"}
_STEP: Final = {
    "action": "action",
    "sourceLabels": "source_labels",
    "targetLabel": "target_label",
    "regex": "regex",
}
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9_]")


class UnknownFieldError(ValueError):
    """An object uses a field that is not translated; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What Prometheus reads: its own file, and one for each PrometheusRule."""

    main: Json
    rules: Mapping[str, Json]

    def files(self) -> dict[str, str]:
        """Give each file's text by its name."""
        return {name: yaml.safe_dump(content, sort_keys=False) for name, content in [(MAIN, self.main), *self._rules()]}

    @property
    def stamp(self) -> str:
        """A hash of everything, which Prometheus shows among its external labels once it has taken it in."""
        return str(self.main["global"]["external_labels"]["configuration"])

    def _rules(self) -> Iterable[tuple[str, Json]]:
        return sorted(self.rules.items())


def configuration(objects: Iterable[Json], *, selected_by: Mapping[str, str], folder: str) -> Configuration:
    """Give the configuration of a Prometheus that selects its objects by these labels, over all namespaces.

    Args:
        objects: of the three kinds, in any order.
        selected_by: ``matchLabels`` of its selectors for monitors and for rules; what lacks one of them is not seen.
        folder: where Prometheus will find the files.

    Raises:
        UnknownFieldError: an object asks for something that is not translated.
    """
    seen = sorted((one for one in objects if selected_by.items() <= _labels(one).items()), key=_identity)
    scrapes = [*_each(seen, "ServiceMonitor", _service_monitor), *_each(seen, "PodMonitor", _pod_monitor)]
    rules = {_file_name(one): _rule_file(one) for one in seen if one["kind"] == "PrometheusRule"}
    stamp = hashlib.sha256(json.dumps([scrapes, rules], sort_keys=True).encode()).hexdigest()[:16]
    main = {
        "global": {
            "scrape_interval": _DEFAULT_INTERVAL,
            "evaluation_interval": _DEFAULT_INTERVAL,
            "external_labels": {"configuration": stamp},
        },
        "rule_files": [f"{folder}/{name}" for name in sorted(rules)],
        "scrape_configs": scrapes,
    }
    return Configuration(main=main, rules=rules)


def _each(objects: Iterable[Json], kind: str, translate: Any) -> list[Json]:
    return [config for one in objects if one["kind"] == kind for config in translate(one)]


def _pod_monitor(monitor: Json) -> Iterable[Json]:
    where, spec = f"PodMonitor {'/'.join(_identity(monitor))}", monitor["spec"]
    _only(spec, {"selector", "namespaceSelector", "podMetricsEndpoints", *_LIMITS}, where)
    for number, endpoint in enumerate(spec["podMetricsEndpoints"]):
        relabeling = [
            *_before(),
            _RUNNING,
            *_selected(spec["selector"], "pod", where),
            _keep("pod_container_port_name", endpoint["port"]),
            _copy("namespace", "namespace"),
            _copy("pod_container_name", "container"),
            _copy("pod_name", "pod"),
            {"target_label": "job", "replacement": "/".join(_identity(monitor))},
            {"target_label": "endpoint", "replacement": endpoint["port"]},
            *_steps(endpoint.get("relabelings", []), where),
        ]
        yield _scrape(monitor, endpoint, number=number, prefix="podMonitor", role="pod", relabeling=relabeling)


def _service_monitor(monitor: Json) -> Iterable[Json]:
    where, spec = f"ServiceMonitor {'/'.join(_identity(monitor))}", monitor["spec"]
    _only(spec, {"selector", "namespaceSelector", "endpoints"}, where)
    for number, endpoint in enumerate(spec["endpoints"]):
        relabeling = [
            *_before(),
            *_selected(spec["selector"], "service", where),
            _keep("endpoint_port_name", endpoint["port"]),
            _target("Node", "node"),
            _target("Pod", "pod"),
            _copy("namespace", "namespace"),
            _copy("service_name", "service"),
            _copy("pod_name", "pod"),
            _copy("pod_container_name", "container"),
            _RUNNING,
            _copy("service_name", "job") | {"replacement": "${1}"},
            {"target_label": "endpoint", "replacement": endpoint["port"]},
        ]
        yield _scrape(
            monitor, endpoint, number=number, prefix="serviceMonitor", role="endpoints", relabeling=relabeling
        )


def _scrape(monitor: Json, endpoint: Json, *, number: int, prefix: str, role: str, relabeling: list[Json]) -> Json:
    job = f"{prefix}/{'/'.join(_identity(monitor))}/{number}"
    known = {"port", "path", "interval", "scrapeTimeout", "honorLabels", "metricRelabelings"}
    _only(endpoint, known | ({"relabelings"} if role == "pod" else set()), job)
    steps = _steps(endpoint.get("metricRelabelings", []), job)
    names = {"interval": "scrape_interval", "scrapeTimeout": "scrape_timeout", "path": "metrics_path"}
    return {
        "job_name": job,
        "honor_labels": endpoint.get("honorLabels", False),
        "kubernetes_sd_configs": [_discovery(monitor, role)],
        **{theirs: endpoint[ours] for ours, theirs in names.items() if ours in endpoint},
        "relabel_configs": relabeling,
        **{theirs: monitor["spec"][ours] for ours, theirs in _LIMITS.items() if ours in monitor["spec"]},
        **({"metric_relabel_configs": steps} if steps else {}),
    }


def _steps(relabelings: Iterable[Json], where: str) -> list[Json]:
    """What a monitor says itself about labels, in Prometheus' own names; its actions are the same in small letters."""
    found = []
    for one in relabelings:
        _only(one, _STEP, where)
        found.append({_STEP[name]: value for name, value in one.items()} | {"action": one["action"].lower()})
    return found


def _discovery(monitor: Json, role: str) -> Json:
    selector = monitor["spec"].get("namespaceSelector", {})
    _only(selector, {"any", "matchNames"}, "namespaceSelector")
    if selector.get("any"):
        return {"role": role}
    return {"role": role, "namespaces": {"names": selector.get("matchNames") or [monitor["metadata"]["namespace"]]}}


def _selected(selector: Json, thing: str, where: str) -> Iterable[Json]:
    _only(selector, {"matchLabels", "matchExpressions"}, where)
    for label, value in sorted(selector.get("matchLabels", {}).items()):
        yield _labelled(thing, label, value)
    for expression in selector.get("matchExpressions", []):
        match expression["operator"]:
            case "In":
                yield _labelled(thing, expression["key"], "|".join(expression["values"]))
            case "Exists":
                name = _NOT_IN_LABELS.sub("_", expression["key"])
                yield _keep(f"{thing}_labelpresent_{name}", "true")
            case operator:
                raise UnknownFieldError(f"{where}: operator {operator} of a selector is not translated")


def _labelled(thing: str, label: str, values: str) -> Json:
    name = _NOT_IN_LABELS.sub("_", label)
    sources = [f"{_META}{thing}_label_{name}", f"{_META}{thing}_labelpresent_{name}"]
    return {"action": "keep", "source_labels": sources, "regex": f"({values});true"}


def _rule_file(rule: Json) -> Json:
    where, spec = f"PrometheusRule {'/'.join(_identity(rule))}", rule["spec"]
    _only(spec, {"groups"}, where)
    for group in spec["groups"]:
        _only(group, {"name", "interval", "rules"}, where)
        for one in group["rules"]:
            _only(one, {"alert", "record", "expr", "for", "labels", "annotations"}, where)
    return {"groups": spec["groups"]}


def _file_name(rule: Json) -> str:
    """With the uid, as two pairs of namespace and name may come to the same text."""
    return f"{'-'.join(_identity(rule))}-{rule['metadata']['uid']}.yaml"


_RUNNING: Final[Json] = {
    "action": "drop",
    "source_labels": [f"{_META}pod_phase"],
    "regex": "(Failed|Succeeded)",
}


def _before() -> list[Json]:
    return [{"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"}]


def _keep(source: str, value: str) -> Json:
    return {"action": "keep", "source_labels": [_META + source], "regex": value}


def _copy(source: str, target: str) -> Json:
    return {"source_labels": [_META + source], "target_label": target}


def _target(kind: str, label: str) -> Json:
    """Take the name of what an endpoint's address belongs to, where it is of this kind."""
    sources = [f"{_META}endpoint_address_target_kind", f"{_META}endpoint_address_target_name"]
    return {
        "source_labels": sources,
        "separator": ";",
        "regex": f"{kind};(.*)",
        "replacement": "${1}",
        "target_label": label,
    }


def _only(found: Mapping[str, Any], known: Collection[str], where: str) -> None:
    if unknown := found.keys() - set(known):
        raise UnknownFieldError(f"{where}: not translated: {', '.join(sorted(unknown))}")


def _labels(one: Json) -> Mapping[str, str]:
    return one["metadata"].get("labels") or {}


def _identity(one: Json) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]
