r"""What goes to a terminal: words of others, such as log lines and messages, must not steer it.

A name, an image or an error text may hold escape sequences that clear the screen, rename the window or hide a line, and
marks that turn the direction of writing. They are shown as what they are (`\x1b`). Our own colours are unharmed, and
`NO_COLOR` leaves them out.
"""

from collections.abc import Iterable
from typing import Any, Final

import rich.console
import typer
from rich.segment import Segment

_KEPT: Final = frozenset("\n\t")
_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
"""C0, DEL and C1; separators of lines and marks of direction."""
_SHOWN: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  as Python writes them
    for code in _CONTROLS
    if chr(code) not in _KEPT
}

_UNLIMITED: Final = 10_000
"""Columns."""


def visible(text: str) -> str:
    """The same with everything that would steer a terminal spelled out; a half surrogate as a question mark."""
    return text.translate(_SHOWN).encode(errors="replace").decode()


def one_line(text: str) -> str:
    """As `visible`, on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", " ")


def say(text: str) -> None:
    """A line to the standard output."""
    typer.echo(visible(text))


class Console(rich.console.Console):
    """rich's, whose texts cannot steer the terminal, and mean nothing to rich itself: `[/]` and `:x:` are text."""

    def __init__(self, **settings: Any) -> None:
        """As rich's; who wants its markup in a text of ours says so."""
        super().__init__(**{"markup": False, "emoji": False} | settings)

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Everything that is shown passes here."""
        for segment in super().render(renderable, options):
            if segment.control or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)


def wide() -> Console:
    """For tables of short cells: a line stays one line, whatever its length.

    In a pipe for `grep` and `awk`. A terminal that is narrower folds the line itself, as it does with kubectl's: a cell
    that is cut would not tell which pool or image it is about.
    """
    return Console(soft_wrap=True, width=_UNLIMITED)


def folding() -> Console:
    """For sentences and tables that hold some: on a terminal they are folded within their column, and nothing is cut.

    Elsewhere as `wide`.
    """
    console = Console()
    return console if console.is_terminal else wide()
