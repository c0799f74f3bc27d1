"""Whether a Prometheus takes the pools' rules, as far as its resource tells: pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workerpool_operator.api import LabelSelector
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Json, Level, Seen, some, upgrade
from workerpool_operator.domain.selector import selects

_SUBJECT: Final = "alerts"
_PAGE: Final = "docs/how-to/alerts.md#if-prometheus-does-not-find-them"


def check(seen: Seen) -> Iterator[Finding]:
    """Whether there can be rules, and whether those that there are are evaluated."""
    if not seen.rules_served:
        yield Finding(
            subject=_SUBJECT,
            level=Level.NOTE,
            text="PrometheusRules are not known here, so pools have no alerts",
            remedy="install the prometheus-operator, or take the rules from docs/how-to/alerts.md",
        )
        return
    for what in (seen.rules, seen.evaluators):
        if isinstance(what, Hidden):
            yield _good(
                f"PrometheusRules are known here; whether a Prometheus takes them was not looked at: {what.why}"
            )
            return
    assert not isinstance(seen.rules, Hidden)
    assert not isinstance(seen.evaluators, Hidden)
    if not seen.evaluators:
        yield _good("PrometheusRules are known here; no Prometheus resource is, so who takes them cannot be seen")
        return
    left = [rule for rule in seen.rules if not any(_takes(one, rule, seen) for one in seen.evaluators)]
    if left:
        yield _left(left, seen)
    else:
        yield _good(f"PrometheusRules are known here, and a Prometheus takes those of all {len(seen.rules)} pools")


def _good(text: str) -> Finding:
    return Finding(subject=_SUBJECT, level=Level.GOOD, text=text)


def _left(rules: Sequence[Json], seen: Seen) -> Finding:
    assert not isinstance(seen.evaluators, Hidden)
    names = some({f"{rule['metadata']['namespace']}/{rule['metadata']['name']}" for rule in rules})
    said = "; ".join(
        f"{one['kind']} {one['metadata']['namespace']}/{one['metadata']['name']} takes {_asked(one)}"
        for one in seen.evaluators
    )
    wanted = next((labels for one in seen.evaluators if (labels := _wanted(one))), {})
    operators = [] if isinstance(seen.operators, Hidden) else seen.operators
    remedy = f"{_PAGE} tells how to have them taken"
    if wanted and operators and all(not _labelled(rule, wanted) for rule in rules):
        sets = [f"--set prometheusRule.labels.{_escaped(key)}={value}" for key, value in wanted.items()]
        remedy = f"{upgrade(operators[0], *sets)}; {_PAGE} tells more"
    return Finding(
        subject=_SUBJECT,
        level=Level.BAD,
        text=f"no Prometheus takes the rules of {names}, so nobody is told: {said}",
        remedy=remedy,
    )


def _takes(evaluator: Json, rule: Json, seen: Seen) -> bool:
    """As the prometheus-operator chooses; what cannot be decided counts as taken."""
    spec: Json = evaluator.get("spec") or {}
    namespace = rule["metadata"]["namespace"]
    if not _chosen(spec.get("ruleSelector"), rule["metadata"].get("labels") or {}):
        return False
    if spec.get("ruleNamespaceSelector") is None:
        return bool(namespace == evaluator["metadata"]["namespace"])
    if namespace not in seen.namespaces:
        return True
    return _chosen(spec["ruleNamespaceSelector"], seen.namespaces[namespace]["metadata"].get("labels") or {})


def _chosen(selector: Any, labels: Mapping[str, str]) -> bool:
    """No selector chooses nothing, an empty one everything."""
    if selector is None:
        return False
    try:
        return selects(LabelSelector.model_validate(selector), labels)
    except ValueError:
        return True


def _asked(evaluator: Json) -> str:
    """Which rules it takes, in its own words."""
    spec: Json = evaluator.get("spec") or {}
    found = []
    for name in ("ruleSelector", "ruleNamespaceSelector"):
        selector = spec.get(name)
        labels = _wanted_of(selector)
        if selector is None:
            found.append(f"{name} unset")
        elif labels:
            found.append(f"{name} {','.join(f'{key}={value}' for key, value in labels.items())}")
        elif selector:
            found.append(f"{name} with expressions")
    return " and ".join(found) or "all"


def _wanted(evaluator: Json) -> Mapping[str, str]:
    return _wanted_of((evaluator.get("spec") or {}).get("ruleSelector"))


def _wanted_of(selector: Any) -> Mapping[str, str]:
    return (selector or {}).get("matchLabels") or {}


def _labelled(rule: Json, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= (rule["metadata"].get("labels") or {}).items()


def _escaped(key: str) -> str:
    """As a name of a value for Helm."""
    return "'" + key.replace(".", "\\.") + "'" if "." in key else key
