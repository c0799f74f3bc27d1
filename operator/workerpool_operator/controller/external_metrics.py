"""The external metrics API beside the operator: a process of its own, which this one starts, feeds and watches over.

A process that ends by itself, or says nothing for long, is replaced, after a pause that grows. HPAs keep their sizes
meanwhile. Only when none has served for minutes does the operator end, as with every vital part.
"""

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final, Self

import structlog

from workerpool_operator.controller.metrics_feed import Feed
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.metrics_api.messages import BEAT_SECONDS, LINE_BYTES, Settings
from workerpool_operator.metrics_api.tally import count

COMMAND: Final = (sys.executable, "-m", "workerpool_operator.metrics_api")
GIVE_UP_SECONDS: Final = 120.0
"""Without any process that serves: what the chart's startup probe allows."""
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
STEADY_SECONDS: Final = 30.0
"""Who has served for so long and then ends did not end for the reason that its predecessor did."""
SILENT_SECONDS: Final = 15.0
"""Of this loop's own time: while the operator itself stands still, nobody is taken for stuck."""
END_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class ExternalMetrics:
    """Has the API served."""

    def __init__(
        self,
        settings: Settings,
        *,
        feed: Callable[[], Feed],
        metrics: OperatorMetrics,
        command: Sequence[str] = COMMAND,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        """`feed()` makes the feed of a process that has been told nothing yet."""
        self._settings = settings
        self._feed = feed
        self._metrics = metrics
        self._command = command
        self._give_up_seconds = give_up_seconds
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether it has been served at all: a replica that never did had better not replace one that does."""
        return self._ready

    async def run(self) -> None:
        """Have a process serve until cancelled. Raises RuntimeError when none has for `give_up_seconds`."""
        self._metrics.metrics_served()
        pause = FIRST_PAUSE_SECONDS
        try:
            async with asyncio.timeout(self._give_up_seconds) as patience:
                while True:
                    served = await self._run_one(patience)
                    pause = FIRST_PAUSE_SECONDS if served >= STEADY_SECONDS else pause
                    _log.warning("external_metrics_restarts", again_in_seconds=pause)
                    self._metrics.metrics_restart()
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        except TimeoutError as error:
            raise RuntimeError(f"no process has served for {self._give_up_seconds:g} s; see the log above") from error

    async def _run_one(self, patience: asyncio.Timeout) -> float:
        """Start a process and stay with it to its end; the seconds for which it has served."""
        now = asyncio.get_running_loop().time
        serving_since = None

        def heard(line: bytes) -> None:
            nonlocal serving_since
            if count(line, self._metrics) and serving_since is None:
                serving_since, self._ready = now(), True
                patience.reschedule(None)
                _log.info("external_metrics_served", port=self._settings.port)

        starting = asyncio.ensure_future(_Child.start(self._command))
        try:
            child = await asyncio.shield(starting)
        except OSError as error:
            _log.warning("external_metrics_not_started", error=str(error))
            return 0.0
        except asyncio.CancelledError:
            # One that is half started would be nobody's.
            with suppress(OSError):
                await (await starting).end()
            raise
        try:
            await child.stay(self._settings, self._feed(), heard)
        finally:
            code = await child.end()
        _log.warning("external_metrics_ended", code=code)
        if serving_since is None:
            return 0.0
        patience.reschedule(now() + self._give_up_seconds)
        return now() - serving_since


@dataclass(slots=True)
class _Child:
    """One process, and our end of the sockets."""

    process: Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    silent_beats: int = 0
    """Since it last said something, once it has."""
    spoken: bool = False

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start it. Raises OSError when the kernel has no room for it."""
        ours, theirs = socket.socketpair()
        with ExitStack() as unless_started, theirs:
            unless_started.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a terminal's ^C is for the operator, which lets it end in its turn
            )
            reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_BYTES)
            unless_started.pop_all()
        return cls(process, reader, writer)

    async def stay(self, settings: Settings, feed: Feed, heard: Callable[[bytes], None]) -> None:
        """Tell it what it has to know, and hear what it says, until it ends or is stuck."""
        self.writer.write(settings.line())
        works = (feed.run(self.writer), self._listen(heard), self._watch(), self.process.wait())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            if not task.cancelled():
                with suppress(ConnectionError):
                    task.result()

    async def end(self) -> int:
        """Let it end, which it does when our end is closed, or else make it; its exit code."""
        self.writer.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            return await self._kill()
        except asyncio.CancelledError:
            await self._kill()  # the operator gives up meanwhile: nobody else would
            raise

    async def _kill(self) -> int:
        with suppress(ProcessLookupError):
            self.process.kill()
        return await self.process.wait()

    async def _listen(self, heard: Callable[[bytes], None]) -> None:
        while line := await self.reader.readline():
            self.silent_beats, self.spoken = 0, True
            heard(line)

    async def _watch(self) -> None:
        while self.silent_beats * BEAT_SECONDS < SILENT_SECONDS:
            await asyncio.sleep(BEAT_SECONDS)
            self.silent_beats += self.spoken
        _log.warning("external_metrics_silent", seconds=SILENT_SECONDS)
