"""Whether a Prometheus takes the pools' rules, as far as its resource tells: pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from workerpool_operator.cli.doctor.chosen import RULES, lacks, settings
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Json, Level, Seen, some, upgrade

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
    evaluators = [one for one in seen.evaluators if one["kind"] != "PrometheusAgent"]
    if not evaluators:
        yield _good("PrometheusRules are known here; no Prometheus resource is, so who takes them cannot be seen")
        return
    left = [rule for rule in seen.rules if not any(RULES.takes(one, rule, seen.namespaces) for one in evaluators)]
    if left:
        yield _left(left, evaluators, seen)
    elif not seen.rules:
        yield _good("PrometheusRules are known here; no pool has one yet")
    else:
        those = f"those of all {count} pools" if (count := len(seen.rules)) > 1 else "that of the one pool"
        yield _good(f"PrometheusRules are known here, and a Prometheus takes {those}")


def _good(text: str) -> Finding:
    return Finding(subject=_SUBJECT, level=Level.GOOD, text=text)


def _left(rules: Sequence[Json], evaluators: Sequence[Json], seen: Seen) -> Finding:
    names = some({f"{rule['metadata']['namespace']}/{rule['metadata']['name']}" for rule in rules})
    wanted = RULES.wanted(evaluators)
    operators = [] if isinstance(seen.operators, Hidden) else seen.operators
    remedy = f"{_PAGE} tells how to have them taken"
    if wanted and operators and all(lacks(rule, wanted) for rule in rules):
        remedy = f"{upgrade(operators[0], *settings('prometheusRule.labels', wanted))}; {_PAGE} tells more"
    return Finding(
        subject=_SUBJECT,
        level=Level.BAD,
        text=f"no Prometheus takes the rules of {names}, so nobody is told: {RULES.told(evaluators)}",
        remedy=remedy,
    )
