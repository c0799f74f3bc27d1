"""The demo as it runs: a live table on a terminal, a line every two seconds elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LINE_SECONDS = 2.0
HISTORY = 60
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What there is to see at one moment. None is "not known yet"."""

    seconds: float
    phase: str
    waiting: int | None
    running: int | None
    oldest_seconds: float | None
    desired: int
    ready: int
    busy: int | None
    nodes: Mapping[str, int] = field(default_factory=dict)
    planned: int
    sent: int
    done: int
    trouble: str = ""


class View:
    """Shows moments. Use it as a context manager; call it with each moment."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False) if console.is_terminal else None
        self._said_at = 0.0
        self._waiting: deque[int] = deque(maxlen=HISTORY)
        self._ready: deque[int] = deque(maxlen=HISTORY)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, moment: Moment) -> None:
        """Show this moment."""
        self._waiting.append(moment.waiting or 0)
        self._ready.append(moment.ready)
        if self._live:
            self._live.update(self._draw(moment))
        elif time.monotonic() - self._said_at >= LINE_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(line(moment), highlight=False, soft_wrap=True)

    def _draw(self, moment: Moment) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="left", style="bold", min_width=14)
        table.add_column(justify="right", min_width=5)
        table.add_column(justify="left", no_wrap=True)
        table.add_row("waiting jobs", _number(moment.waiting), Text(sparkline(self._waiting), style="yellow"))
        table.add_row("oldest wait", _seconds(moment.oldest_seconds), "")
        table.add_row("desired", str(moment.desired), Text("●" * moment.desired, style="cyan"))
        table.add_row("ready", str(moment.ready), Text(sparkline(self._ready), style="green"))
        table.add_row("busy workers", _number(moment.busy), Text("●" * (moment.busy or 0), style="magenta"))
        table.add_row("by node", "", _by_node(moment.nodes))
        jobs = Table.grid(padding=(0, 2))
        jobs.add_row("sent", f"{moment.sent}/{moment.planned}", ProgressBar(moment.planned, moment.sent, width=40))
        jobs.add_row("done", f"{moment.done}/{moment.planned}", ProgressBar(moment.planned, moment.done, width=40))
        parts: list[RenderableType] = [table, Text(), jobs]
        if moment.trouble:
            parts.append(Text(moment.trouble, style="red"))
        return Panel(Group(*parts), title=f"{moment.seconds:4.0f} s  {moment.phase}", title_align="left", width=92)


def line(moment: Moment) -> str:
    """Give the moment as one line."""
    return (
        f"{moment.seconds:5.1f} s  {moment.phase}: waiting {_number(moment.waiting)}, oldest "
        f"{_seconds(moment.oldest_seconds)}, desired {moment.desired}, ready {moment.ready} "
        f"({_by_node(moment.nodes)}), busy {_number(moment.busy)}, sent {moment.sent}, "
        f"done {moment.done} of {moment.planned}" + (f"; {moment.trouble}" if moment.trouble else "")
    )


def sparkline(values: Sequence[int] | deque[int]) -> str:
    """Draw numbers as bars, the largest one as high as they get.

    >>> sparkline([0, 1, 2, 4])
    ' ▂▄█'
    """
    top = max(values, default=0) or 1
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // top)] for value in values)


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} s"


def _by_node(nodes: Mapping[str, int]) -> str:
    return ", ".join(f"{node} {count}" for node, count in sorted(nodes.items())) or "none"
