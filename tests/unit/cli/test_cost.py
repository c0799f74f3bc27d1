"""`wpool cost`: what is asked, what is made of the answers, and what is said when there are none."""

import io
import json
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from workerpool_operator.cli import prometheus
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.cost import Line, lines, table
from workerpool_operator.cli.main import app


def row(pool: str, value: float, **labels: str) -> tuple[dict[str, str], float]:
    return {"namespace": "media", "pool": pool, **labels}, value


class Kept:
    """What a Prometheus has, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, query: str) -> prometheus.Vector:
        self.asked.append(query)
        if "idle" in query:
            return [row("thumbs", 1_800.0, version="a")]
        if "price" in query:
            return [row("thumbs", 0.5, currency="EUR")]
        return [
            row("thumbs", 7_200.0, version="a"),
            row("thumbs", 0.0, version="z"),
            row("mails", 36_000.0, version="b"),
        ]


THUMBS = Line(namespace="media", pool="thumbs", version="a", worker_hours=2.0, idle_hours=0.5, cost=1.0, currency="EUR")
MAILS = Line(namespace="media", pool="mails", version="b", worker_hours=10.0, idle_hours=0.0, cost=None, currency="")


def test_hours_idle_and_price_come_together_the_most_expensive_first() -> None:
    assert lines(Kept(), [], namespace=None, window="7d") == [THUMBS, MAILS]


def test_names_and_a_namespace_choose() -> None:
    kept = Kept()
    lines(kept, ["thumbs", "a.b"], namespace="media", window="30d")
    assert all('{pool=~"thumbs|a[.]b",namespace="media"}[30d]' in query for query in kept.asked)


def test_the_table_has_a_sum() -> None:
    console = Console(width=100, file=io.StringIO())
    console.print(table([THUMBS, MAILS]))
    last = console.file.getvalue().strip().splitlines()[-1].split()  # type: ignore[attr-defined]
    assert last == ["all", "12.00", "4", "%", "1.00", "EUR"]


@pytest.mark.parametrize("words", [["--window", "7"], ["--window", "7d]) or up"], ["Thumbs"], ["-n", 'a"}']])
def test_words_that_would_be_another_question_are_refused(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["cost", *words]).exit_code == 2


def test_without_figures_it_is_said_and_machines_get_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "ask", lambda *_: [])
    shown = CliRunner().invoke(app, ["cost", "--output", "json"])
    assert (shown.exit_code, json.loads(shown.stdout)) == (1, [])
    assert "does this Prometheus scrape the operator" in shown.stderr.replace("\n", " ")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "ftp://host", "prometheus:9090"])
def test_a_prometheus_that_is_not_there_is_told(address: str) -> None:
    shown = CliRunner().invoke(app, ["cost", "--prometheus", address])
    assert shown.exit_code == 3
    assert address in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("said", [{}, [], {"data": {"result": [{"metric": {}, "value": []}]}}, {"data": None}])
def test_what_is_no_prometheus_is_told(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(json.dumps(said).encode()))
    with pytest.raises(TroubleError, match="does not answer as a Prometheus"):
        prometheus.ask("http://host:1", "up")
