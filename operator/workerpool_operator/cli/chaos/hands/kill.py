"""Processes and pods are killed. What replaces them is Kubernetes' affair: there is nothing to put back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from workerpool_operator.cli.chaos.eyes import is_ready
from workerpool_operator.cli.chaos.hands.ground import Ground, Json, counts, name, quietly, uid, until
from workerpool_operator.cli.chaos.inside import program
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.get.figures import PodFigures
from workerpool_operator.cli.look.remote import RemoteError, Target, run_in
from workerpool_operator.kube import ObjectRef, errors, kinds

_KILL_SECONDS: Final = 35.0
_SEEN_SECONDS: Final = 10.0
_LIMITED_SECONDS: Final = 30.0
BY_LIMIT: Final = ("prlimit", "--pid", "1", "--cpu=1:1")
"""What the program does by Python, for images without one; a process that does nothing outlives it."""
_IDLE: Final = "it uses no CPU time; the limit on it stands, so it ends when it has used a second in all"
_HEALTH_PORT: Final = 8080

Find = Callable[[Ground], Awaitable[list[Json]]]


class KilledProcesses:
    """SIGKILL to the first process of containers, which the kubelet starts again."""

    def __init__(self, ground: Ground, find: Find, *, what: str, workers: bool) -> None:
        """`find` says which pods; `workers`: whether they are the pool's."""
        self._ground = ground
        self._find = find
        self._what = what
        self._workers = workers
        self._before: dict[str, int] = {}
        self._selected: list[Json] = []

    @property
    def victims(self) -> frozenset[str]:
        """See `Hands`."""
        return frozenset(self._before) if self._workers else frozenset()

    async def strike(self) -> str:
        """See `Hands`."""
        self._selected = await self._find(self._ground)
        if not self._selected:
            raise TroubleError(f"nothing was broken: there is no {self._what}")
        self._before = counts(self._selected)
        await asyncio.gather(*(self.kill(pod) for pod in self._selected))
        return f"SIGKILL to {self._what}: {', '.join(name(pod) for pod in self._selected)}"

    async def kill(self, pod: Json) -> None:
        """End the first process of a pod's first container, and wait until Kubernetes has seen that."""
        container = pod["spec"]["containers"][0]
        ports = [str(port["containerPort"]) for port in container.get("ports", ())] or [str(_HEALTH_PORT)]
        target = Target(pod["metadata"]["namespace"], name(pod), container["name"])
        said, seconds = await self._run(target, program("kill", *ports)), _SEEN_SECONDS
        if is_not_there(said):
            said, seconds = await self._run(target, BY_LIMIT) or _IDLE, _LIMITED_SECONDS
        failed = f"{name(pod)} could not be killed from within:"
        if is_not_there(said):
            raise TroubleError(f"{failed} its image has neither Python nor prlimit (util-linux)")
        # Not longer than a while: where it worked, the kubelet has told so by now.
        await until(lambda: self._died(pod), seconds=seconds, otherwise=f"{failed} {said}")

    async def _run(self, target: Target, command: Sequence[str]) -> str:
        """Why it failed; also what is told where it worked, since the connection ends with the process."""
        try:
            await run_in(self._ground.access, target, command, seconds=_KILL_SECONDS)
        except RemoteError as error:
            return str(error)
        return ""

    async def healed(self) -> bool:
        """See `Hands`."""
        return await quietly(self._all_back)

    async def took(self) -> bool | None:
        """See `Hands`."""
        return True

    async def mend(self) -> None:
        """See `Hands`."""

    async def _died(self, pod: Json) -> bool:
        try:
            ref = ObjectRef(kinds.POD, pod["metadata"]["namespace"], name(pod))
            now = await self._ground.kube.get(ref)
        except errors.NotFound:
            return True
        running = all("running" in one.get("state", {}) for one in now["status"].get("containerStatuses", ()))
        return uid(now) != uid(pod) or counts([now]) != counts([pod]) or not running

    async def _all_back(self) -> bool:
        for pod in self._selected:
            try:
                now = await self._ground.kube.get(ObjectRef(kinds.POD, pod["metadata"]["namespace"], name(pod)))
            except errors.NotFound:
                continue  # another one has its place, or does not: that the pool is full is looked at anyway
            if uid(now) == uid(pod) and not (is_ready(now) and counts([now])[uid(pod)] > self._before[uid(pod)]):
                return False
        return True


class DeletedPods:
    """Pods deleted without grace, as when their node tells nobody; their Deployment makes others."""

    victims: frozenset[str] = frozenset()

    def __init__(self, ground: Ground, find: Find, *, all_of: Find, what: str, led: bool = False) -> None:
        """`find` says which, `all_of` among which they are; `led`: another one has to lead afterwards."""
        self._ground = ground
        self._find = find
        self._all_of = all_of
        self._what = what
        self._led = led
        self._gone: frozenset[str] = frozenset()
        self._wanted = 0
        self._leader = ""

    async def strike(self) -> str:
        """See `Hands`."""
        self._leader = (await self._ground.lease()).get("holderIdentity", "") if self._led else ""
        chosen = await self._find(self._ground)
        if not chosen:
            raise TroubleError(f"nothing was broken: there is no {self._what}")
        self._wanted = len([pod for pod in await self._all_of(self._ground) if is_ready(pod)])
        self._gone = frozenset(map(uid, chosen))
        for pod in chosen:
            ref = ObjectRef(kinds.POD, pod["metadata"]["namespace"], name(pod))
            await self._ground.kube.delete(ref, uid=uid(pod), grace_seconds=0)
        return f"deleted without grace: {', '.join(map(name, chosen))}"

    async def healed(self) -> bool:
        """See `Hands`."""
        return await quietly(self._all_back)

    async def took(self) -> bool | None:
        """See `Hands`."""
        return True

    async def mend(self) -> None:
        """See `Hands`."""

    async def _all_back(self) -> bool:
        ready = [pod for pod in await self._all_of(self._ground) if is_ready(pod) and uid(pod) not in self._gone]
        if len(ready) < self._wanted:
            return False
        return not self._led or (await self._ground.lease()).get("holderIdentity", "") not in {"", self._leader}


async def all_workers(ground: Ground) -> list[Json]:
    """Every ready worker."""
    return await ground.workers()


async def busy_worker(ground: Ground) -> list[Json]:
    """One that is at work, as its metrics tell; any one where none tells so."""
    workers = await ground.workers()
    figures = PodFigures(ground.access, namespace=ground.namespace)
    await figures.read(map(name, workers))
    at_work = {pod: found.in_flight for pod, found in figures.now.items()}
    return sorted(workers, key=lambda pod: -at_work.get(name(pod), 0))[:1]


async def leader(ground: Ground) -> list[Json]:
    """The operator's pod that leads."""
    holder = (await ground.lease()).get("holderIdentity", "").partition("_")[0]
    return [pod for pod in await ground.operators() if name(pod) == holder]


async def brokers(ground: Ground) -> list[Json]:
    """The pods that a person has named as the broker's."""
    if not ground.options.broker:
        raise TroubleError("name the broker's pods by --broker, a label selector such as app=redis")
    return await ground.pods(ground.options.broker)


def told(pods: Sequence[Json]) -> str:
    """Names, for the blast radius."""
    return ", ".join(map(name, pods)) or "none"


def is_not_there(said: str) -> bool:
    """Whether a container runtime has said that there is no such program; runc and crun have their own words."""
    return ("executable file" in said and "not found" in said) or "no such file" in said
