"""Prints docs/reference/alerts.md: every alert and recorded series, from the rules themselves."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from workerpool_operator import api
from workerpool_operator.domain.desired.prometheus_rule import RuleSettings, prometheus_rule

ROOT: Final = Path(__file__).parents[1]
INSTALLATION: Final = ROOT / "charts" / "workerpool-operator" / "alerts.yaml"
POOL: Final = {
    "apiVersion": api.API_VERSION,
    "kind": api.KIND,
    "metadata": {"name": "thumbnails", "namespace": "media", "uid": "1", "resourceVersion": "1", "generation": 1},
    "spec": {
        "worker": {"image": "registry.example/thumbnails:1.4.2"},
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": "a", "group": "a"}}],
    },
}

HEAD: Final = """\
<!-- Generated from the alerts' rules by `make generate`: do not edit. -->
# Alerts

How they get into a Prometheus, which of them can be left out, and what holds back the others when one is the cause:
[be told when a pool is in trouble](../how-to/alerts.md). `critical` is meant to wake somebody, `warning` to be seen
today, `info` to be seen in the weekly look. Each has its runbook. `make test-rules` shows that each fires when it
should, and not otherwise.

"""
OF_A_POOL: Final = """
## Of each pool

In a PrometheusRule of the pool's name beside it, made by the operator; `spec.alerts` sets their numbers and labels.
Here those of a pool `thumbnails` in namespace `media` that says nothing about them.
"""
OF_ALL: Final = """
## Of the installation

In a PrometheusRule of the chart, over all pools.
"""
RECORDED: Final = """
## Recorded series

What the alerts above are made of, and what panels of your own may use.

| Series | By | Expression |
|---|---|---|
"""

LABEL: Final = re.compile(r"\{\{ \$labels\.(\w+) \}\}")

Rule = dict[str, Any]


def pool_rules() -> list[Rule]:
    """Those that the operator makes for a pool."""
    found: list[Rule] = prometheus_rule(api.parse(POOL), settings=RuleSettings())["spec"]["groups"][0]["rules"]
    return found


def installation_rules() -> list[Rule]:
    """Those of the chart."""
    groups = yaml.safe_load(INSTALLATION.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def page() -> str:
    """The page."""
    pool, installation = pool_rules(), installation_rules()
    parts = [HEAD, "| Alert | Severity | When it has held | Says |\n|---|---|---|---|\n"]
    parts += [_row(rule) for rule in _alerts([*pool, *installation])]
    parts += [OF_A_POOL, *(_section(rule) for rule in _alerts(pool))]
    parts += [OF_ALL, *(_section(rule) for rule in _alerts(installation))]
    parts += [RECORDED, *(_recorded(rule) for rule in [*pool, *installation] if "record" in rule)]
    return "".join(parts)


def _alerts(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in rules if "alert" in rule)


def _row(rule: Rule) -> str:
    name = rule["alert"]
    return f"| [{name}](#{name.lower()}) | {rule['labels']['severity']} | {_after(rule)} | {_summary(rule)} |\n"


def _section(rule: Rule) -> str:
    name = rule["alert"]
    about = f"{rule['labels']['severity']}, {_after(rule)}. [Runbook](../runbooks/{name}.md)."
    said = " ".join(rule["annotations"]["description"].split())
    return f"\n### {name}\n\n{about[0].upper()}{about[1:]}\n\n> {said}\n\n```promql\n{rule['expr'].strip()}\n```\n"


def _after(rule: Rule) -> str:
    held = str(rule.get("for", "0m"))
    return "at once" if held.strip("0") in {"s", "m"} else f"for {held}"


def _summary(rule: Rule) -> str:
    """Without whom it is about, which each alert says at its beginning."""
    text = str(rule["annotations"]["summary"]).split("}}: ")[-1]
    return LABEL.sub(r"`\1`", text)


def _recorded(rule: Rule) -> str:
    expression = " ".join(rule["expr"].split()).replace("|", "\\|")
    labels = ", ".join(f"`{name}: {value}`" for name, value in rule.get("labels", {}).items())
    return f"| `{rule['record']}` | {labels} | `{expression}` |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
