"""Whatever a name, a label or a message holds, it is text where it ends up: in tables, Markdown, YAML, LogQL, logs.

docs/explanation/threats.md lists these places; those that have a test of their own are named there.
"""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import prometheus_client
import pytest
import structlog
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from rich.console import RenderableType

from workerpool_operator import logs
from workerpool_operator.cli import cost, events, report
from workerpool_operator.cli.dlq import command as dlq
from workerpool_operator.cli.logs import loki
from workerpool_operator.cli.logs.lines import Choice
from workerpool_operator.cli.rollout.command import _write
from workerpool_operator.cli.rollout.state import lines
from workerpool_operator.cli.terminal import Console

EVIL = "x[/bold]\x1b[2J\r:x: \u202e|<img src=x onerror=alert(1)>[y](javascript:z)\"'`$(id)`{{ end }}"
LINE = cost.Line(namespace=EVIL, pool=EVIL, version=EVIL, worker_hours=1.0, idle_hours=0.5, cost=None, currency="EUR")
WEEK = report.Week(
    namespace=EVIL, pool=EVIL, alerts=(EVIL,),
    **dict.fromkeys(
        ("jobs", "change_percent", "failed_attempts", "dead", "redelivered", "interrupted", "wait_p95_seconds",
         "time_p95_seconds", "slo_used_percent", "slo_left_percent", "most_workers", "size_changes", "worker_hours",
         "idle_percent", "cost"),
    ),
)  # fmt: skip
EVENT = events.Happening(
    namespace=EVIL, time="2026-01-01T00:00:00Z", count=1, type=EVIL, reason=EVIL, kind=EVIL, name=EVIL, message=EVIL
)
LETTER = dict.fromkeys(("queue", "id", "type", "reason", "version", "error", "tenant", "attempts", "job_id"), EVIL) | {
    "died_at": 0
}
TABLES: dict[str, Callable[[], RenderableType]] = {
    "cost": lambda: cost.table([LINE]),
    "report": lambda: report.table([WEEK]),
    "events": lambda: events.table([EVENT], now=datetime(2026, 1, 1, tzinfo=UTC), everywhere=True),
    "dlq": lambda: dlq.table([LETTER]),
}


def harmless(shown: str) -> bool:
    return not set("\x1b\r\u202e") & set(shown)


@pytest.mark.parametrize("made", TABLES.values(), ids=TABLES)
def test_tables_show_it_as_it_is_written(made: Callable[[], RenderableType]) -> None:
    """Neither a command to the terminal nor markup of the library that draws them."""
    out = io.StringIO()
    Console(file=out, width=2_000).print(made())
    assert harmless(out.getvalue())
    assert "x[/bold]\\x1b[2J\\x0d:x: \\u202e|<img" in out.getvalue()


def test_a_rollouts_words_are_shown_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A version, a reason; `wpool rollout get` writes lines and no table."""
    objective = {"name": EVIL, "canary": EVIL, "stable": EVIL, "allowed": EVIL}
    assert _write(lines({"objectives": [objective]}))
    shown = capsys.readouterr().out
    assert harmless(shown)
    assert "\\x1b[2J" in shown


def test_a_report_in_markdown_has_no_markdown_of_others() -> None:
    """No cell ends early, no image is fetched, no link is made."""
    row = report.markdown([WEEK], window="7d").splitlines()[-1]
    bare = re.sub(r"\\.", "", row)
    assert not set("<>[]`") & set(bare)
    assert bare.count("|") == report.markdown([WEEK], window="7d").splitlines()[-2].count("|")
    assert harmless(row)


@given(st.text())
def test_yaml_and_json_bring_back_what_went_in(text: str) -> None:
    """As `get`, `adopt` and `tls` write them; and a terminal that they are shown on is left alone."""
    text = text.encode(errors="replace").decode()
    shown = yaml.safe_dump({"it": text}, sort_keys=False)
    assert yaml.safe_load(shown) == {"it": text}
    assert harmless(shown)
    assert harmless(json.dumps(text))


@given(st.text())
def test_a_query_of_loki_has_it_between_quotes(text: str) -> None:
    """As Go reads strings: no quote and no line ends it early."""
    text = text.encode(errors="replace").decode()
    asked = loki.query("namespace", loki.Wanted(namespace=text, pool="thumbs", choice=Choice()))
    found = re.match(r'\{namespace=("(?:[^"\\\n]|\\.)*")\} \|= "thumbs" \| json ', asked)
    assert found
    assert json.loads(found[1]) == text


def test_a_line_of_the_operators_log_is_one_line() -> None:
    """An error of a broker, a name: whoever reads the log by lines is told nothing that was not logged."""
    out = io.StringIO()
    logs.configure(stream=out)
    try:
        structlog.get_logger("test").warning(EVIL + "\n{}", why=f"{EVIL}\n{{}}\u2028")
    finally:
        structlog.reset_defaults()
    [line] = out.getvalue().splitlines()
    said: dict[str, Any] = json.loads(line)
    assert said["event"] == EVIL + "\n{}"
    assert harmless(line)


@given(st.text())
def test_a_label_of_a_metric_is_one_label(text: str) -> None:
    """As the operator and collectors write them, read by Prometheus' own rules."""
    text = text.encode(errors="replace").decode()
    registry = prometheus_client.CollectorRegistry()
    gauge = prometheus_client.Gauge("depth", "Jobs.", ["queue"], registry=registry)
    gauge.labels(text).set(1)
    [family] = text_string_to_metric_families(prometheus_client.generate_latest(registry).decode())
    [sample] = family.samples
    assert (sample.labels, sample.value) == ({"queue": text}, 1.0)
