"""A load as it runs, on stderr: a bar on a terminal, a line every few seconds elsewhere."""

import time
from types import TracebackType
from typing import Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from workerpool_operator.cli.load.run import Progress as LoadProgress
from workerpool_operator.cli.terminal import Console

LINE_SECONDS: Final = 5.0


class LoadView:
    """Shows the progress of one load. Use it as a context manager; call it with each `run.Progress`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said_at = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description:>4}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._sent = self._bar.add_task("sent", total=None, note="")
        self._done = self._bar.add_task("done", total=None, note="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, progress: LoadProgress) -> None:
        """Show where the load is."""
        if self._console.is_terminal:
            self._draw(progress)
        elif time.monotonic() - self._said_at >= LINE_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(line(progress), highlight=False)

    def _draw(self, progress: LoadProgress) -> None:
        late = f"{progress.lag * 1000:.0f} ms late"
        queue = progress.trouble or f"{progress.waiting} waiting, {progress.in_flight} running"
        self._bar.update(self._sent, total=progress.planned, completed=progress.enqueued, note=late)
        self._bar.update(self._done, total=progress.planned, completed=_done(progress), note=queue)


def line(progress: LoadProgress) -> str:
    """Where the load is, in one line."""
    return (
        f"sent {progress.enqueued} of {progress.planned}, done {_done(progress)}, waiting {progress.waiting}, "
        f"running {progress.in_flight}, {progress.lag * 1000:.0f} ms late"
        + (f"; {progress.trouble}" if progress.trouble else "")
    )


def _done(progress: LoadProgress) -> int:
    """As told by the workers; else what has left the queue."""
    if progress.done is not None:
        return progress.done
    return max(0, progress.enqueued - progress.waiting - progress.in_flight)
