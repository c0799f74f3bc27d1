"""What makes a worker of another library keep the worker contract: beside it, in a thread and an event loop of its own.

The library takes the jobs, runs them and drains, in its own way and its own threads. Its adapter tells the bridge of it
by hooks that any thread may call and that wait for nothing. The bridge answers kubelet and Prometheus, tells the
collector, and obeys its fence. It has no evidence of its own that the worker lives: `beat` is called by the library's
own loop, so one that hangs fails `/healthz`.

| The library | calls |
|---|---|
| is about to start | `start`; then nothing is ready yet |
| can take jobs: its broker has answered | `ready` |
| turns its loop | `beat`, every `BEAT_SECONDS` |
| has lost its broker, and is back | `away`, `back`; `forget_unstarted` where it dropped what it had prefetched |
| has been given a message | `taken`, before anything can go wrong with it |
| begins an attempt, ends with a job | `begins`, `ended` |
| hears SIGTERM | `drain` |
| has nothing left to do | `finish`, which waits for the last scrape |
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from workerpool.adapters.gate import LibraryGate, Pausable
from workerpool.adapters.ledger import Ledger, Outcome
from workerpool.runtime.background import Background, in_time, run_until
from workerpool.runtime.contract import Contract
from workerpool.runtime.fence import FenceKeeper
from workerpool.runtime.health import HealthServer
from workerpool.runtime.last_figures import scrape_seconds, write_last_figures
from workerpool.runtime.linking import make_link
from workerpool.runtime.live import LiveSettings, Orders
from workerpool.runtime.scrapes import MetricsServer
from workerpool.telemetry.logs import TextLog
from workerpool.telemetry.metrics import FailureReason, Metrics

if TYPE_CHECKING:
    from workerpool.runtime.collector import CollectorLink
    from workerpool.runtime.state import State

BEAT_SECONDS: Final = 1.0
"""How often the library's loop calls `beat`; what it is later than that is the lag of its loop."""
_LAST_WORDS_SECONDS: Final = 2.0
_NOT_HEEDED: Final = ("rate_limit_per_second", "concurrency_per_worker", "tenant_limits", "shed_after")


class Library(Pausable, Protocol):
    """What the bridge asks of a library, in the bridge's own thread: nothing here waits."""

    def slots(self) -> int:
        """Jobs that it runs at a time now."""

    def children(self) -> Sequence[int]:
        """Pids of the processes that run its jobs, whose CPU and memory are the worker's; none where it has none."""

    def hurry(self) -> None:
        """DRAIN_TIMEOUT is over: end what still runs, so that its jobs go back. Nothing, where a library cannot."""


class Bridge:
    """One worker process of another library, as its pool sees it.

    Attributes:
        evidence: What `/healthz` and `/ready` answer by.
        metrics: The worker's figures.
    """

    def __init__(
        self,
        library: Library,
        contract: Contract,
        *,
        lane: str,
        health_port: int = 8080,
        metrics_port: int = 8000,
        token_file: str = "",
        log: Any = None,
    ) -> None:
        """Open the ports; nothing else is begun.

        `lane`: where the library runs its jobs, `io`, `thread` or `cpu`, as `workerpool.runtime.lanes` names them.

        Raises:
            ConfigurationError: a port is taken.
        """
        self._library = library
        self._contract = contract
        self._token_file = token_file
        self._log = log or TextLog()
        self._boot_id = os.urandom(6).hex()
        self._health = HealthServer(health_port)
        self.evidence = self._health.evidence
        self.metrics = Metrics(pool=contract.pool, version=contract.version, slots={lane: library.slots()})
        self._lane = self.metrics.lanes[lane]
        self._live = LiveSettings(contract.policy, slow_after=contract.slow_job_seconds)
        self._ledger = Ledger(self.metrics, self._lane, slow_after=lambda: self._live.slow_after)
        self._scraped = MetricsServer(metrics_port, self.metrics)
        self._fence = FenceKeeper(self._live, LibraryGate(library), changed=self._changed)
        self._link: CollectorLink | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="workerpool-bridge", daemon=True)
        self._telling = False
        self._away = self._broken = ""
        self._drain_at: float | None = None
        self._beat_at = self._lag = 0.0
        self._not_heeded: set[str] = set()

    @property
    def ports(self) -> tuple[int, int]:
        """In use, of health and of metrics."""
        return self._health.port, self._scraped.port

    @property
    def in_flight(self) -> int:
        """Jobs that the library holds."""
        return len(self._ledger)

    def start(self) -> None:
        """Serve. `/ready` says no until `ready`; `/healthz` gives the library five minutes to come that far."""
        self._scraped.start()
        self._thread.start()
        os.register_at_fork(after_in_child=self._forget)
        self._log.info("listening", health_port=self._health.port, metrics_port=self._scraped.port)

    def ready(self) -> None:
        """The library takes jobs, for the first time or again."""
        self._away = ""
        if not self.evidence.started:
            self._beat_at = time.monotonic()
            self.evidence.start(stuck_seconds=self._contract.stuck_seconds)
            self.metrics.ready()
            self._log.info("ready", slots=self._library.slots())
        self._changed()

    def beat(self) -> None:
        """The library's own loop turned."""
        now = time.monotonic()
        self._lag = max(self._lag, now - self._beat_at - BEAT_SECONDS)
        self._beat_at = now
        self.evidence.beat(unstarted_since=self._ledger.unstarted_since(), lane_problem=self._broken)

    def away(self, why: str) -> None:
        """The library cannot reach its broker. Its loop need not turn until it can, by no fault of the worker's.

        `why`: a few words, without addresses and secrets: the name of the error.
        """
        self._away = self.evidence.waits_for = f"broker: {why}"
        self._changed()

    def back(self) -> None:
        """It reaches it again."""
        self.ready()

    def taken(self, key: Hashable, *, later: bool = False) -> None:
        """A message has come; it counts as in flight until `ended`, prefetched or not.

        `key`: of this delivery; a message that comes twice has two. `later`: the library keeps it until it is due; to
        be told again, without it, when it is.
        """
        self._ledger.taken(key, later=later)
        self._changed()

    def begins(self, key: Hashable, job_type: str, *, attempt: int = 1, timeout: float | None = None) -> None:
        """An attempt begins; `attempt`: 1 for the first one; `timeout`: seconds after which the library ends it."""
        self._ledger.begins(key, job_type, attempt=attempt, timeout=timeout)
        self._changed()

    def ended(self, key: Hashable, outcome: Outcome, *, reason: FailureReason = FailureReason.ERROR) -> None:
        """The library has nothing more to do with it. One that is not known, or has ended before, is ignored.

        `reason`: why the attempt failed, where it did.
        """
        self._ledger.ended(key, outcome, reason=reason)
        self._changed()

    def forget_unstarted(self) -> None:
        """The library has dropped all messages that it has not begun: their broker gives them to somebody."""
        self._ledger.forget_unstarted()
        self._changed()

    def drain(self) -> None:
        """SIGTERM came. For signal handlers too: takes no lock that the interrupted thread may hold."""
        self._drain_at = self._drain_at or time.monotonic()
        self._call(self._begin_drain)

    def finish(self, *, interrupted: int | None = None) -> None:
        """The library has drained: say the last words, wait for the last scrape, answer no more.

        `interrupted`: jobs that did not come to their end; None: as the hooks have told. Blocks for some
        12 s at most.
        """
        self.forget_unstarted()
        running = self._ledger.running()
        interrupted = len(running) + self._ledger.interrupted if interrupted is None else interrupted
        self.drain()
        assert self._drain_at is not None
        self.metrics.drain_seconds = time.monotonic() - self._drain_at
        self._log.info(
            "drained", seconds=round(self.metrics.drain_seconds, 3), interrupted=interrupted, job_types=sorted(running)
        )
        self._say_last_words(interrupted)
        write_last_figures(self.metrics, interrupted=interrupted)
        if self.evidence.started:
            left = scrape_seconds(
                drain_seconds=self._contract.drain_seconds, draining_for=time.monotonic() - self._drain_at
            )
            self._scraped.wait_scraped(left)
        self.stop()

    def stop(self) -> None:
        """Answer no more, at once."""
        self._call(self._stop.set)
        self._thread.join(timeout=_LAST_WORDS_SECONDS)
        self._scraped.stop()
        self._health.stop()

    def _forget(self) -> None:
        """In a fork: its copies of the ports would keep them open when this process is gone."""
        self._health.close_copy()
        self._scraped.close_copy()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001  whatever it is, this worker cannot be fenced any more
            self._log.error("the bridge to the pool has broken", exc_info=error)
            self._broken = f"the bridge to the pool has broken: {type(error).__name__}"

    async def _serve(self) -> None:
        services = [self._tick(), self._heartbeat(), self._fence.run()]
        background = Background([*services, *([self._keep_link()] if self._contract.collector else [])])
        try:
            await run_until(self._stop, background)
        finally:
            await background.cancel()

    async def _keep_link(self) -> None:
        self._link = await make_link(
            self._contract,
            boot_id=self._boot_id,
            slots=max(1, self._library.slots()),
            state=self._state,
            obey=self._obey,
            token_file=self._token_file,
            log=self._log,
        )
        await self._link.run()

    async def _tick(self) -> None:
        """The library's loop need not turn while it has lost its broker, or waits for its last jobs."""
        while True:
            if self._away or self.evidence.draining:
                self._beat_at = time.monotonic()
                self.evidence.beat(unstarted_since=None, lane_problem=self._broken)
            self._lane.slots = self._library.slots()
            await asyncio.sleep(min(BEAT_SECONDS, self._contract.stuck_seconds / 4))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._contract.heartbeat_seconds)
            if time.monotonic() - self._beat_at <= self._contract.stuck_seconds:
                self.metrics.heartbeat(children=self._library.children(), loop_lag=self._lag)
                self._lag = 0.0

    def _begin_drain(self) -> None:
        if not self.evidence.draining:
            self.evidence.drain()
            self._log.info("draining", in_flight=len(self._ledger), seconds=self._contract.drain_seconds)
            self._tell()
            self._loop.call_later(self._contract.drain_seconds, self._hurry)

    def _hurry(self) -> None:
        if running := self._ledger.running():
            self._log.warning("the time to drain is over", running=len(running), job_types=sorted(running))
            self._ledger.hurried = True
            self._library.hurry()

    def _say_last_words(self, interrupted: int) -> None:
        async def say() -> None:
            if self._link is not None:
                await in_time(
                    _LAST_WORDS_SECONDS, self._link.last_words(self.metrics.totals(), interrupted=interrupted)
                )

        if self._thread.is_alive():
            try:
                asyncio.run_coroutine_threadsafe(say(), self._loop).result(2 * _LAST_WORDS_SECONDS)
            except (TimeoutError, CancelledError):
                self._log.warning("no last words to the collector")

    def _changed(self) -> None:
        """Tell the collector soon; once, however many hooks are called until then."""
        if not self._telling:
            self._telling = True
            self._call(self._tell)

    def _tell(self) -> None:
        self._telling = False  # first: what changes from now on is told again
        if self._link is not None:
            self._link.changed()

    def _call(self, function: Callable[[], None]) -> None:
        """In the bridge's thread, if that has not ended by now."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def _state(self) -> "State":
        from workerpool.runtime.state import State  # noqa: PLC0415  the link has loaded it, nobody else needs it

        slots = max(1, self._library.slots())
        return State(
            in_flight=len(self._ledger),
            slots=slots,
            most_slots=slots,
            cpu_cores=self.metrics.cpu_cores,
            fence=self._fence.in_force,
            draining=self.evidence.draining,
            paused=self._away,
            troubles={},
            remaining_seconds=self._ledger.remaining_seconds(),
            totals=self.metrics.totals(),
            slow_after=self._live.slow_after,
        )

    def _obey(self, orders: Orders) -> None:
        self._live.apply(orders)
        self._fence.look()
        for setting in _NOT_HEEDED if orders.policy is not None else ():
            if getattr(orders.policy, setting) and setting not in self._not_heeded:
                self._not_heeded.add(setting)
                self._log.error("only the SDK's own worker heeds that: leave it out of spec.delivery", setting=setting)


def contract_from(env: Mapping[str, str]) -> Contract | None:
    """What this worker is told by its pool; None outside of one, where an adapter does nothing.

    Raises:
        ConfigurationError: something is wrong; the text names the variable.
    """
    return Contract.without_queues(env) if env.get("WORKERPOOL_NAME") else None
