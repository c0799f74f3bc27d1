"""What the demo draws."""

import io
from typing import Any

import pytest
from rich.console import Console

from e2e.demo.show import State
from e2e.demo.view import Moment, View, line, sparkline


def a_moment(**changes: Any) -> Moment:
    figures: dict[str, Any] = {
        "seconds": 3.0,
        "phase": "sending",
        "waiting": 40,
        "running": 8,
        "oldest_seconds": 1.25,
        "desired": 4,
        "ready": 2,
        "busy": 2,
        "nodes": {"node-2": 1, "node-1": 1},
        "planned": 100,
        "sent": 60,
        "done": 12,
    }
    return Moment(**(figures | changes))


def drawn(*moments: Moment, terminal: bool) -> str:
    stream = io.StringIO()
    with View(Console(file=stream, force_terminal=terminal, width=100)) as view:
        for moment in moments:
            view(moment)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("values", "bars"), [([], ""), ([0, 0], "  "), ([0, 1, 2, 4], " ▂▄█"), ([1, 1000], "▁█"), ([5], "█")]
)
def test_bars_are_as_high_as_their_share_of_the_largest(values: list[int], bars: str) -> None:
    """A value above 0 is never drawn as nothing."""
    assert sparkline(values) == bars


def test_a_terminal_gets_a_live_table() -> None:
    said = drawn(a_moment(), a_moment(waiting=80), terminal=True)
    for word in ("waiting jobs", "oldest wait", "desired", "ready", "busy workers", "node-1 1, node-2 1", "60/100"):
        assert word in said


def test_elsewhere_it_is_plain_lines_and_not_too_many() -> None:
    said = drawn(a_moment(), a_moment(), a_moment(), terminal=False)
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said


def test_a_line_holds_all_figures() -> None:
    said = line(a_moment(trouble="collector: 503"))
    for part in ("waiting 40", "oldest 1.2 s", "desired 4", "ready 2", "busy 2", "done 12 of 100", "collector: 503"):
        assert part in said


def test_what_is_not_known_is_no_zero() -> None:
    said = line(a_moment(waiting=None, busy=None, oldest_seconds=None))
    assert "waiting ?" in said
    assert "busy ?" in said


def test_the_collector_s_answer_is_taken_apart() -> None:
    queue = {"waiting": 7, "in_flight": 3, "oldest_age_seconds": 0.5, "error": None}
    workers = [
        {"in_flight": 2, "connected": True},
        {"in_flight": 0, "connected": True},
        {"in_flight": 1, "connected": False},
    ]
    answer = {"pools": {"demo": {"queues": [queue], "workers": workers}}}
    assert State.of(answer) == State(waiting=7, running=3, oldest_seconds=0.5, busy=1)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"pools": {}},
        {"pools": {"demo": {"queues": [], "workers": []}}},
        {"pools": {"demo": {"queues": [{"error": "Unreachable"}], "workers": []}}},
    ],
)
def test_a_collector_that_knows_nothing_yet_gives_nothing(answer: dict[str, Any]) -> None:
    assert State.of(answer) == State()
