"""One control plane with one operator on it, where scenarios are played with and without a kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.processes import tail
from e2e.faults import endstate
from e2e.faults.autoscaler import FakeAutoscaler
from e2e.faults.collector import Script, ScriptedCollector, collector_token
from e2e.faults.inject import FaultProxy, Upstream, Write
from e2e.faults.process import NAMESPACE, OperatorProcess, release_lease
from e2e.faults.scenarios import POOL, Scenario, Stage
from e2e.faults.witness import Ledger, Witness
from e2e.support.wait import NotInTimeError, until
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds

CALM_SECONDS = 1.0
"""Without a write for so long, a scenario is over: longer than any pause within one."""
RESTART_SECONDS = 60.0
_PATIENCE_SECONDS = 30.0

KillPoint: TypeAlias = int | str
"""After the so-manieth write, or after the first of this kind (`kind_of`)."""


@dataclass(kw_only=True)
class Play:
    """How one scenario went."""

    scenario: str
    writes: list[Write] = field(default_factory=list)
    killed_after: Write | None = None
    seconds: float = 0.0
    """From the change (or from the kill, or from the end of the fault) to the last write."""
    state: list[str] = field(default_factory=list)
    created: int = 0
    """Workers that were made."""
    deleted: int = 0
    requests: int = 0
    """Of the operator, of all kinds."""
    broken: list[str] = field(default_factory=list)
    """What did not hold."""


class Lane:
    """A control plane, an operator behind a proxy, and a witness. Plays one scenario at a time."""

    def __init__(
        self, *, access: ClusterAccess, kube: Kube, proxy: FaultProxy, operator: OperatorProcess, kubelet: bool = True
    ) -> None:
        self.access = access
        self.kube = kube
        self.proxy = proxy
        self.others: list[tuple[OperatorProcess, FaultProxy]] = []
        """Further replicas of the operator: they hear collectors as this one does, and their writes count like its."""
        self.operator = operator
        self.witness = Witness(access, kube, kubelet=kubelet)

    @classmethod
    @asynccontextmanager
    async def on(
        cls,
        plane: ControlPlane,
        *,
        home: Path,
        tls: Path,
        settings: Mapping[str, str] | None = None,
        user: Path | None = None,
        kubelet: bool = True,
    ) -> AsyncIterator[Self]:
        """Run an operator on this control plane, which serves WorkerPools, for as long as the context lasts.

        Its log lies in `home`. Lanes whose end states are compared need one `tls` folder. `settings` are environment
        variables of its process, `user` is the kubeconfig of whom it is: the administrator, unless given. Without the
        played `kubelet` somebody else starts pods.
        """
        access = await ClusterAccess.find(plane.kubeconfig)
        upstream = await Upstream.from_kubeconfig(user or plane.kubeconfig)
        # The suite itself is patient: a slow answer on a busy machine is no finding.
        async with Kube(access, timeout_seconds=_PATIENCE_SECONDS) as kube, FaultProxy(upstream) as proxy:
            with suppress(errors.AlreadyExists):
                await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            operator = OperatorProcess.prepare(home, tls=tls, settings=settings)
            proxy.write_kubeconfig(operator.kubeconfig)
            lane = cls(access=access, kube=kube, proxy=proxy, operator=operator, kubelet=kubelet)
            watching = asyncio.create_task(lane.witness.run(), name="witness")
            lane.operator.start()
            try:
                yield lane
            finally:
                lane.operator.kill()
                watching.cancel()
                await asyncio.wait({watching})

    @property
    def requests(self) -> int:
        """How many requests the operator has made since the lane began."""
        return sum(proxy.requests for proxy in self._proxies)

    @property
    def _proxies(self) -> list[FaultProxy]:
        return [self.proxy, *(proxy for _, proxy in self.others)]

    async def state(self, stage: Stage) -> list[str]:
        """Give what the namespace has come to; see `endstate`."""
        ports = [operator.endpoint.port for operator in (self.operator, *(operator for operator, _ in self.others))]
        hidden = {stage.namespace: "NAMESPACE", **{f".svc:{port}": ".svc:PORT" for port in ports}}
        return await endstate.end_state(self.kube, stage.namespace, hidden=hidden)

    @asynccontextmanager
    async def stage(self, namespace: str) -> AsyncIterator[Stage]:
        """Give a new namespace with a scripted collector; its pools go at the end."""
        await self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        async with self.access.watch_session() as session:
            scripts: dict[str, Script] = {}
            collector, *others = (
                ScriptedCollector(
                    endpoint=operator.endpoint,
                    token=lambda: collector_token(session, self.access.server, namespace),
                    pods=lambda pool: self.witness.ready_workers(namespace, pool),
                    waiting=lambda pool: self.witness.waiting_workers(namespace, pool),
                    scripts=scripts,
                )
                for operator in (self.operator, *(operator for operator, _ in self.others))
            )
            autoscaler = FakeAutoscaler(kube=self.kube, namespace=namespace, collector=collector)
            playing = {asyncio.create_task(one.run()) for one in (collector, *others)}
            playing.add(asyncio.create_task(autoscaler.run()))
            try:
                yield Stage(kube=self.kube, namespace=namespace, collector=collector, witness=self.witness)
            finally:
                for task in playing:
                    task.cancel()
                await asyncio.wait(playing)
                for pool in await self.kube.list(kinds.WORKER_POOL, namespace=namespace).all():
                    await self.kube.delete(kinds.ref_of(pool))

    async def play(
        self,
        scenario: Scenario,
        stage: Stage,
        *,
        kill_after: KillPoint | None = None,
        during: AbstractAsyncContextManager[object] | None = None,
        wanted: Sequence[str] = (),
    ) -> Play:
        """Play one scenario, and kill the operator on the way if asked to, or make the change within `during`, a fault.

        `wanted` is the end state to arrive at; without it, the sizes that the scenario names.
        """
        play = Play(scenario=scenario.name)
        requests = self.requests
        ledger = self.witness.open(stage.namespace)
        trap = self._set_trap(kill_after, stage)
        started = time.monotonic()
        try:
            async with during or nullcontext():
                await scenario.act(stage)
            started = started if during is None else time.monotonic()
            if kill_after is not None and await self._sprung(trap, scenario, stage, wanted=wanted):
                play.killed_after = trap.result()
                started = time.monotonic()
                await self._restart(stage)
            play.state = await self._settled(scenario, stage, wanted=wanted, since=time.monotonic())
        except NotInTimeError as error:
            play.broken.append(f"{error}; the end of the operator's log:\n{tail(self.operator.log)}")
            play.state = await self.state(stage)
        play.writes = self.writes(stage)
        self.forget_writes()
        play.seconds = max([started, *(write.at for write in play.writes)]) - started
        play.requests = self.requests - requests
        play.created, play.deleted = len(ledger.created), len(ledger.deleted)
        play.broken += _violations(scenario, stage, ledger)
        if wanted and (found := endstate.difference(wanted, play.state)):
            play.broken.append(f"another end state:\n{found}")
        return play

    def _set_trap(self, point: KillPoint | None, stage: Stage) -> asyncio.Future[Write]:
        """Have the operator killed at this point, counted in this namespace; the write is the result."""
        loop = asyncio.get_running_loop()
        trap: asyncio.Future[Write] = loop.create_future()

        def end(write: Write) -> None:
            self.operator.kill()
            loop.call_soon_threadsafe(trap.set_result, write)

        self.forget_writes()
        if isinstance(point, int):
            self.proxy.writes.arm(point, end, counts=lambda write: _is_in(write, stage))
        elif point:
            self.proxy.writes.arm(1, end, counts=lambda write: _is_in(write, stage) and kind_of(write) == point)
        return trap

    def writes(self, stage: Stage) -> list[Write]:
        """The operator's writes in this namespace since the scenario began."""
        seen = (write for proxy in self._proxies for write in proxy.writes.seen)
        return sorted((write for write in seen if _is_in(write, stage)), key=lambda write: write.at)

    def forget_writes(self) -> None:
        """Count anew."""
        for proxy in self._proxies:
            proxy.writes.reset()

    async def _sprung(
        self, trap: asyncio.Future[Write], scenario: Scenario, stage: Stage, *, wanted: Sequence[str]
    ) -> bool:
        """Whether the operator is killed before everything is over."""
        settled = asyncio.create_task(self._settled(scenario, stage, wanted=wanted, since=time.monotonic()))
        first: set[asyncio.Future[Any]] = {settled, trap}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        await asyncio.wait({settled})
        return trap.done()

    async def _restart(self, stage: Stage) -> None:
        """Start the operator again, and wait until it has looked at the namespace."""
        epoch = stage.collector.configured_in
        await release_lease(self.kube)
        self.operator.start()

        async def leads() -> bool:
            self.operator.check()
            return stage.collector.configured_in > epoch

        await until(leads, seconds=RESTART_SECONDS, what="the restarted operator tells the collector its pools")

    async def _settled(self, scenario: Scenario, stage: Stage, *, wanted: Sequence[str], since: float) -> list[str]:
        """Wait until all is as wanted and nothing is written any more; give the end state."""

        async def look() -> list[str] | None:
            last = max([since, *(write.at for write in self.writes(stage))])
            if time.monotonic() - last < CALM_SECONDS:
                return None
            state = await self.state(stage)
            done = not endstate.difference(wanted, state) if wanted else scenario.settled(state)
            return state if done and scenario.until(stage) else None

        return await until(look, seconds=scenario.seconds, what=f"{scenario.name}: the wanted state, at rest")


def kind_of(write: Write) -> str:
    """What is written and how; pods, whose names are random, without theirs."""
    method, plural, *rest = str(write).split()
    return " ".join([method, plural, *([] if plural == "pods" else rest)])


def _is_in(write: Write, stage: Stage) -> bool:
    return f"/namespaces/{stage.namespace}/" in write.target


def _violations(scenario: Scenario, stage: Stage, ledger: Ledger) -> list[str]:
    """What must hold at every moment of the scenario, and did not."""
    found = []
    if len(ledger.created) != scenario.created:
        found.append(f"{len(ledger.created)} workers were made instead of {scenario.created}")
    if len(ledger.deleted) != scenario.deleted:
        found.append(f"{len(ledger.deleted)} workers were ended instead of {scenario.deleted}")
    if killed := ledger.deleted & stage.untouchable:
        found.append(f"{len(killed)} workers that were at work were ended")
    if ledger.peak.get(POOL, 0) > scenario.peak:
        found.append(f"the Deployments asked for {ledger.peak[POOL]} workers together, more than {scenario.peak}")
    for pool, versions in ledger.versions.items():
        if versions > scenario.versions:
            found.append(f"the Deployments of {pool} asked for workers of {versions} versions at one moment")
    return found
