"""F6: two operators, of which one leads, loses that and gets it back; their clocks are wrong all the time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from e2e.faults.inject import Drop, FaultProxy, Match, Upstream
from e2e.faults.lane import Lane
from e2e.faults.matrix import course
from e2e.faults.matrix.course import Tally, Variant
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.process import NAMESPACE, OperatorProcess
from e2e.faults.scenarios import Stage
from e2e.support.clock import WallClock
from e2e.support.wait import until
from workerpool_operator.controller.config import LEASE_NAME
from workerpool_operator.kube import ObjectRef, errors, kinds

Json = dict[str, Any]

_CHANGES = ("create", "scale-up", "scale-down", "version-change")
_SKEW_SECONDS = 60
_AWAY_SECONDS = 25.0
"""Longer than a Lease lives that nobody renews."""
_TAKEOVER_SECONDS = 20.0
_WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_NO_STATE = frozenset({"leases", "events", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"})


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One of the two."""

    name: str
    process: OperatorProcess
    proxy: FaultProxy
    clock: WallClock


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both, on one control plane with an audit log."""

    lane: Lane
    replicas: tuple[Replica, Replica]

    async def leader(self) -> Replica:
        """Wait until one leads, and give it."""

        async def leads() -> Replica | None:
            try:
                lease = await self.lane.kube.get(ObjectRef(kinds.LEASE, NAMESPACE, LEASE_NAME))
            except errors.NotFound:
                return None
            holder = str(lease["spec"].get("holderIdentity") or "")
            return next((one for one in self.replicas if holder.startswith(f"{one.name}_")), None)

        return await until(leads, seconds=60, what="one of two operators leads")


@asynccontextmanager
async def pair(ground: Ground, plane: ControlPlane) -> AsyncIterator[Pair]:
    """Run two operators, one of which is a minute early and the other one late."""
    clocks = [WallClock(ground.home / f"clock-{name}") for name in "ab"]
    users = [ground.home / f"{name}.kubeconfig" for name in "ab"]
    for name, user, clock, skew in zip("ab", users, clocks, (_SKEW_SECONDS, -_SKEW_SECONDS), strict=True):
        plane.write_kubeconfig(user, user=_user(name), groups=["system:masters"])
        clock.set(skew)
    settings = {"POD_NAME": "a", **clocks[0].env}
    async with (
        ground.lane(plane=plane, user=users[0], settings=settings) as lane,
        FaultProxy(await Upstream.from_kubeconfig(users[1])) as proxy,
    ):
        first = lane.operator
        others = {**first.settings, "POD_NAME": "b", **clocks[1].env}
        second = first.twin(ground.home / "second", settings=others)
        proxy.write_kubeconfig(second.kubeconfig)
        lane.others.append((second, proxy))
        second.start()
        try:
            yield Pair(
                lane=lane,
                replicas=(
                    Replica(name="a", process=first, proxy=lane.proxy, clock=clocks[0]),
                    Replica(name="b", process=second, proxy=proxy, clock=clocks[1]),
                ),
            )
        finally:
            second.kill()


def variants(pair: Pair) -> list[Variant]:
    """Give what is done to the one that leads."""

    @asynccontextmanager
    async def killed(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del lane, stage
        leader = await pair.leader()
        await asyncio.to_thread(leader.process.kill)
        tally.injected += 1
        yield
        await _followed(pair, leader)
        leader.process.start()

    @asynccontextmanager
    async def cut_off(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del lane, stage
        leader = await pair.leader()
        with leader.proxy.fault(Match(), Drop()) as injection:
            leader.proxy.cut_streams()
            yield
            await _followed(pair, leader)
            await asyncio.sleep(_AWAY_SECONDS / 2)
        tally.injected += injection.hits

    @asynccontextmanager
    async def stopped(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del lane, stage
        leader = await pair.leader()
        os.kill(leader.process.pid(), signal.SIGSTOP)
        tally.injected += 1
        try:
            yield
            await _followed(pair, leader)
        finally:
            os.kill(leader.process.pid(), signal.SIGCONT)

    @asynccontextmanager
    async def clocks_jump(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del lane, stage
        leader = await pair.leader()
        for replica in pair.replicas:
            replica.clock.set(-_SKEW_SECONDS if replica is leader else _SKEW_SECONDS)
            tally.injected += 1
        yield
        await asyncio.sleep(_AWAY_SECONDS)
        if (now := await pair.leader()) is not leader:
            tally.broken.append(f"{now.name} leads instead of {leader.name}, although only the clocks were set")

    told = (
        ("the leader killed", killed, False),
        ("the leader cut off from the API server", cut_off, True),
        ("the leader stopped, and going on after the other one took over", stopped, True),
        ("both clocks set by two minutes", clocks_jump, True),
    )
    return [Variant(name=name, upon=upon, survives=survives) for name, upon, survives in told]


async def _followed(pair: Pair, former: Replica) -> None:
    """Wait until the other one leads."""

    async def other() -> bool:
        return await pair.leader() is not former

    await until(other, seconds=_TAKEOVER_SECONDS, what=f"another leader than {former.name}")


@dataclass(frozen=True, kw_only=True)
class Leaders:
    """F6."""

    number: str = "F6"
    what: str = (
        "Two operators whose clocks are two minutes apart. The leader is killed, cut off from the API server, or "
        "stopped until the other one has taken over, within 20 s; and both clocks are set by two minutes. By the audit "
        "log of the API server, nobody writes who does not hold the Lease at that moment."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each, and read the audit log after each."""
        plane = ground.plane("audited", extra=Extra(audit=True))
        async with pair(ground, plane) as both:
            await both.leader()
            wanted = variants(both)
            strikes = _CHANGES[1:2] if ground.depth.short else _CHANGES[1:]
            tried = wanted[2:3] if ground.depth.short else wanted
            async for trial in course.run(ground, both.lane, tried, names=_CHANGES, strikes=strikes):
                found = intruders(plane.audit_log)
                yield replace(trial, broken=(*trial.broken, *found))


def intruders(audit_log: Path) -> list[str]:
    """Read who wrote to an object while another one held the Lease.

    The log is in the order of the answers, so it is put into that of the requests.
    """
    with audit_log.open() as lines:
        events = [event for line in lines if (event := _written(json.loads(line)))]
    return list(_intruding(sorted(events, key=lambda event: str(event["requestReceivedTimestamp"]))))


def _intruding(events: Iterable[Json]) -> Iterable[str]:
    holder = ""
    for event in events:
        who, what = event["user"]["username"], event["objectRef"]
        if what["resource"] == "leases":
            holder = who
        elif what["resource"] not in _NO_STATE and who != holder:
            name = f"{what.get('namespace', '')}/{what.get('name', '')}"
            yield f"{who} wrote {what['resource']} {name} while {holder or 'nobody'} held the Lease"


def _written(event: Json) -> Json | None:
    """Give the event, if one of the operators changed something by it."""
    ours = str(event["user"].get("username", "")).startswith(_user(""))
    done = event["verb"] in _WRITING and event.get("responseStatus", {}).get("code", 500) < 400
    return event if ours and done and "objectRef" in event else None


def _user(name: str) -> str:
    return f"operator-{name}"
