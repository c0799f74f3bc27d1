"""The parts put together: start, run, drain."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from workerpool._source import Source
from workerpool.broker import Broker, BrokerError
from workerpool.runtime.background import Background, in_time, run_until
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import CANCEL_SECONDS, Drained, Stop, drain
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.execution import Execution, RanBy
from workerpool.runtime.fence import FenceKeeper
from workerpool.runtime.gate import Gate
from workerpool.runtime.inflight import InFlight, Running
from workerpool.runtime.intake import Intake
from workerpool.runtime.jobs import Jobs
from workerpool.runtime.lanes import Handler
from workerpool.runtime.life import Life
from workerpool.runtime.limits import Limits
from workerpool.runtime.linking import make_link
from workerpool.runtime.live import LiveSettings, Orders
from workerpool.runtime.needs import Possible
from workerpool.runtime.options import Options
from workerpool.runtime.settle import Settler
from workerpool.runtime.slots import Slots
from workerpool.runtime.solitude import ALONE, Solitude
from workerpool.runtime.stations import Stations
from workerpool.runtime.upkeep import LeaseKeeper, maintain
from workerpool.runtime.watchdog import Watchdog
from workerpool.telemetry import process
from workerpool.telemetry.metrics import Metrics, set_current
from workerpool.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from workerpool.guards.breaker import Circuits
    from workerpool.runtime.collector import CollectorLink
    from workerpool.runtime.state import State

_BEAT_SECONDS: Final = 1.0
_LAST_WORDS_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 2.0
"""How long brokers may take to be told good-bye; who is gone is forgotten by and by."""
DRAIN: Final = "drain"


class _Line(NamedTuple):
    """One queue and what works on it."""

    broker: Broker
    intake: Intake
    settler: Settler
    leases: LeaseKeeper
    comeback: Comeback


class Engine:
    """A worker at work. Runs once.

    Attributes:
        loop: The event loop that it runs in; None: it does not yet.
    """

    def __init__(
        self,
        contract: Contract,
        handlers: Mapping[str, Handler],
        *,
        options: Options,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]],
        evidence: Evidence,
        metrics: Metrics,
        log: Any,
        token_file: str = "",
        tracing: Tracing | None = None,
    ) -> None:
        self._contract = contract
        self._lifespan = lifespan if options.lifespan else None
        self._evidence = evidence
        self._metrics = metrics
        self._log = log
        self._boot_id = os.urandom(6).hex()
        self._live = LiveSettings(contract.policy, slow_after=contract.slow_job_seconds)
        self._possible = Possible(contract.sources, log=log)
        self._applied = contract.policy
        self._gate = Gate()
        self._circuits = self._open_circuits(handlers)
        self._stations = Stations(
            handlers,
            contract,
            recycle=options.recycle_children,
            adaptive=options.adaptive,
            circuits=self._circuits,
            movable=not options.lifespan,
            resized=self._resize,
            metrics=metrics,
            log=log,
        )
        self._slots = Slots(self._stations.slots, intakes=len(contract.sources))
        self._solitude = Solitude(self._gate, seconds=contract.drain_seconds)
        self._jobs = Jobs(
            self._stations,
            Execution(
                self._stations.by_type,
                policy=lambda: self._live.policy,
                ran_by=RanBy(version=contract.version, worker=contract.pod),
                slow=lambda type_: self._live.slow_after if (own := handlers[type_].slow) is None else own,
                firsts=metrics.first_attempts,
                log=log,
            ),
            taken=self._taken,
            freed=self._freed,
            max_attempts=lambda: self._live.policy.max_attempts,
            solitude=self._solitude,
            metrics=metrics,
            log=log,
        )
        self._watchdog = Watchdog(handlers, self._stations, self._jobs.in_flight, metrics=metrics, log=log)
        if not options.watchdog:
            self._watchdog.stop()
        self._stop = Stop()
        self._recycle = options.recycle.spread()
        self._fence = FenceKeeper(self._live, self._gate, changed=self._changed)
        self._lines: dict[str, _Line] = {}
        self._token_file = token_file
        self._tracing = tracing
        self._link: CollectorLink | None = None
        # The first queue by name is the same for all workers; pools may share it.
        self._limits = Limits(
            contract,
            self._live,
            beside=lambda: next(iter(self._lines.values())).broker,
            counted=lambda: all(line.broker.capabilities.tokens for line in self._lines.values()),
            metrics=metrics,
            changed=self._changed,
        )
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def in_flight(self) -> InFlight:
        """The jobs in flight."""
        return self._jobs.in_flight

    async def run(self, stop: Stop) -> Drained:
        """Until `stop` is asked for and the drain is over."""
        set_current(self._metrics)
        self._stop = stop
        self.loop = asyncio.get_running_loop()
        life = Life(self._lifespan, stop=stop, seconds=self._contract.drain_seconds, log=self._log)
        if not await life.begin():
            self._evidence.drain()
            self._watchdog.stop()
            return Drained(interrupted=0, unsettled=0, stubborn=life.lasts)
        try:
            drained = await self._work(stop, life)
        except BaseException as error:
            await life.end(error)
            raise
        await life.end()
        return replace(drained, stubborn=drained.stubborn or life.lasts)

    async def _work(self, stop: Stop, life: Life) -> Drained:
        self._jobs.context = life.context
        self._lines = {source.name: self._make_line(source) for source in self._contract.sources}
        services = [self._beat(), self._heartbeat(), self._fence.run()]
        services += [life.failed()] if life.lasts else []
        for name, line in self._lines.items():
            services += [line.settler.run(), line.leases.run(), maintain(name, line.broker, line.comeback, self._log)]
        background = Background(services)
        intakes = Background([line.intake.run() for line in self._lines.values()])
        link = Background([self._keep_link()] if self._contract.collector else [])
        try:
            self._evidence.start(stuck_seconds=self._contract.stuck_seconds)
            self._metrics.ready()
            self._log.info("ready", queues=list(self._lines), slots=self._stations.capacity)
            await run_until(stop.asked, background, intakes, link)
            return await self._drain(stop, intakes)
        finally:
            self._watchdog.stop()
            for group in (intakes, background, link):
                await group.cancel()
            await self._stations.close()
            await in_time(_CLOSE_SECONDS, *(line.broker.close() for line in self._lines.values()))

    async def _drain(self, stop: Stop, intakes: Background) -> Drained:
        self._evidence.drain()
        for line in self._lines.values():
            line.comeback.hurry()
        self._log.info("draining", in_flight=len(self._jobs.in_flight), seconds=self._contract.drain_seconds)
        self._changed()
        # A take that its broker holds up for longer is cancelled: what it may still bring comes back with its lease.
        await in_time(max(CANCEL_SECONDS, self._left(stop)), self._gate.close(DRAIN))
        self._changed()
        await intakes.cancel()
        self._jobs.no_more()
        drained = await drain(self._jobs.in_flight, seconds=self._left(stop), stop=stop, hand_back=self._jobs.hand_back)
        if self._stations.wedged:
            drained = replace(drained, stubborn=True)
        self._metrics.drain_seconds = stop.seconds_ago
        self._log.info("drained", seconds=round(stop.seconds_ago, 3), **asdict(drained))
        await in_time(_LAST_WORDS_SECONDS, *self._last_words(drained))
        if self._tracing is not None:
            await self._tracing.flush()
        return drained

    def _left(self, stop: Stop) -> float:
        """Seconds of the drain."""
        return max(0.0, self._contract.drain_seconds - stop.seconds_ago)

    def _last_words(self, drained: Drained) -> Iterator[Coroutine[Any, Any, None]]:
        if self._link is not None:
            yield self._link.last_words(self._metrics.totals(), interrupted=drained.interrupted)
        if self._limits.pool is not None:
            yield self._limits.pool.give_back()

    def _make_line(self, source: Source) -> _Line:
        # Unique among all processes that ever were: a restarted container must not be taken for its former self.
        consumer = f"{self._contract.pod}-{self._boot_id}"
        policy = self._live.policy
        broker = source.connect(consumer=consumer, lease_seconds=policy.lease_seconds)
        broker.limit_tenants(policy.tenant_limits)
        broker.shed_after(policy.shed_after)
        traces = self._tracing.of(source.system, broker.stream) if self._tracing is not None else None
        comeback = Comeback(broker)
        return _Line(
            broker=broker,
            comeback=comeback,
            intake=Intake(
                source.name,
                broker,
                comeback=comeback,
                gate=self._gate,
                slots=self._slots,
                evidence=self._evidence,
                accept=partial(self._jobs.accept, source.name, broker),
                without_room=self._stations.without_room,
                limiter=self._limits.now,
                circuits=self._circuits,
                log=self._log,
            ),
            settler=self._jobs.open(source.name, broker, comeback, traces=traces),
            leases=LeaseKeeper(source.name, broker, self._jobs.in_flight, comeback=comeback, log=self._log),
        )

    def _open_circuits(self, handlers: Mapping[str, Handler]) -> "Circuits | None":
        if all(handler.breaker is None for handler in handlers.values()):
            return None
        from workerpool.guards.breaker import Circuits  # noqa: PLC0415  most handlers have none

        return Circuits(handlers, figures=self._metrics.circuits, changed=self._changed, log=self._log)

    async def _keep_link(self) -> None:
        self._link = await make_link(
            self._contract,
            boot_id=self._boot_id,
            slots=max(1, self._stations.capacity),
            state=self._state,
            obey=self._obey,
            token_file=self._token_file,
            log=self._log,
        )
        await self._link.run()

    def _taken(self) -> None:
        self._watchdog.wake()
        self._changed()

    def _freed(self, running: Running) -> None:
        if running.station is not None:
            if self._jobs.settled == self._recycle.after_jobs:
                self._consider_retiring()
            for line in self._lines.values():
                line.intake.room()
        self._slots.release(1)
        self._changed()

    def _consider_retiring(self) -> None:
        """Leave when this process has done enough: whoever started the worker starts it anew."""
        why = self._recycle.due(jobs=self._jobs.settled, resident_bytes=process.resident_bytes())
        if why and not self._stop.asked.is_set():
            self._log.info("the worker recycles itself", why=why)
            self._stop.ask()

    def _resize(self) -> None:
        """There are other slots than before."""
        self._slots.resize(self._stations.slots)
        self._changed()

    def _changed(self) -> None:
        if self._link is not None:
            self._link.changed()

    def _state(self) -> "State":
        from workerpool.runtime.state import State  # noqa: PLC0415  the link has loaded it, nobody else needs it

        return State(
            in_flight=len(self._jobs.in_flight),
            slots=max(1, self._stations.capacity),
            most_slots=max(1, self._stations.most),
            cpu_cores=self._metrics.cpu_cores,
            fence=self._fence.in_force,
            draining=self._evidence.draining,
            paused=self._pause_reason(),
            troubles=self._troubles(),
            remaining_seconds=self._jobs.in_flight.remaining_seconds(asyncio.get_running_loop().time()),
            totals=self._metrics.totals(),
            slow_after=self._live.slow_after,
            share=self._live.share,
        )

    def _pause_reason(self) -> str:
        """Why nothing at all is taken."""
        troubles = self._troubles()
        if len(troubles) == len(self._lines):
            return f"broker: {next(iter(troubles.values()), '')}"
        if self._circuits is not None and self._circuits.shut:
            return f"circuit open: {self._circuits.shut}"
        if self._stations.measuring:
            return "adaptive limit: measuring"
        return ALONE if self._solitude.taken else self._limits.waiting

    def _troubles(self) -> dict[str, str]:
        """Queues from which nothing can be taken now, and the names of the errors."""
        return {name: line.intake.trouble for name, line in self._lines.items() if line.intake.trouble}

    def _obey(self, orders: Orders) -> None:
        """What the collector says now."""
        share = self._live.share
        self._live.apply(self._possible(orders))
        if self._live.share != share:
            self._changed()  # the operator gives the rest to others once it hears of this
        self._fence.look()
        self._apply_policy()

    def _apply_policy(self) -> None:
        """What brokers go by. Limits do not lapse, so they change only when they are told."""
        policy, before = self._live.policy, self._applied
        self._applied = policy
        self._stations.cap(policy.concurrency_per_worker)
        for line in self._lines.values():
            if line.broker.lease_seconds != policy.lease_seconds:
                line.broker.set_lease(policy.lease_seconds)
                line.leases.extend_now()
            if policy.tenant_limits != before.tenant_limits:
                line.broker.limit_tenants(policy.tenant_limits)
            line.broker.shed_after(policy.shed_after)

    async def _beat(self) -> None:
        while True:
            self._evidence.beat(
                unstarted_since=self._jobs.in_flight.unstarted_since(), lane_problem=self._stations.problem()
            )
            self._apply_policy()  # the settings may have lapsed
            self._stations.tick()
            self._jobs.give_up_the_deaf()
            await asyncio.sleep(min(_BEAT_SECONDS, self._contract.stuck_seconds / 4))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._contract.heartbeat_seconds)
            self._watchdog.heartbeat()
            self._consider_retiring()
            if not self._contract.pool:
                await self._read_depths()

    async def _read_depths(self) -> None:
        """In a pool the collector exports the depth: once, and at zero replicas too."""
        for name, line in self._lines.items():
            with contextlib.suppress(BrokerError):  # the intake reports it
                self._metrics.queue_depth[name] = (await line.broker.depth()).waiting
