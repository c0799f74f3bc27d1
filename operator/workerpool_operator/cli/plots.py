"""Plots, where matplotlib is installed: the extra `plot`. It is imported when a plot is wanted, and not before."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Told apart by colour-blind readers too: M. Okabe and K. Ito, "Color Universal Design", 2002."""
MARKERS: Final = ("o", "s", "^", "D")
FORMATS: Final = frozenset({".png", ".svg"})


class PlotError(Exception):
    """No plot can be made here."""


def check_wanted(file: Path | None) -> None:
    """Say what is missing before the measurement, not after it.

    Raises:
        PlotError: matplotlib is missing, or the file's name says another format.
    """
    if file is None:
        return
    if file.suffix.lower() not in FORMATS:
        raise PlotError(f"{file}: a plot is a .png or a .svg")
    if importlib.util.find_spec("matplotlib") is None:
        raise PlotError("plots need matplotlib: pip install 'workerpool-operator[plot]'")


def new_figure(*, rows: int, title: str, height: float = 3.2) -> "tuple[Figure, list[Axes]]":
    """An empty figure with panels above each other, which share their x axis."""
    from matplotlib.figure import Figure  # noqa: PLC0415  see the module's text

    figure = Figure(figsize=(8, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    figure.suptitle(title, fontsize=12, fontweight="bold")
    for each in axes:
        each.grid(visible=True, alpha=0.3)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: "Figure", file: Path) -> None:
    """Write it in the format that the file's name says."""
    figure.savefig(file, dpi=150, format=file.suffix.lower().removeprefix("."))
