"""Hands that reach the machine which the cluster's nodes are made of: its processes, its packets, its nodes.

What the commands' own hands can do as well as these is theirs (`workerpool_operator.cli.chaos.hands`); so is what says
whether something has healed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from e2e.cluster import Cluster
from workerpool_operator.cli.chaos.eyes import is_ready
from workerpool_operator.cli.chaos.hands.cut import CutOperator, CutWorkers
from workerpool_operator.cli.chaos.hands.ground import Ground, Json, name, quietly, uid, until
from workerpool_operator.cli.chaos.hands.kill import Find, KilledProcesses
from workerpool_operator.cli.chaos.inside import program
from workerpool_operator.cli.cluster import TroubleError

TABLE: Final = "wpool-chaos"
API_PORT: Final = 6443
_DIED_SECONDS: Final = 20.0
_HELD_SECONDS: Final = 20.0


class Killed(KilledProcesses):
    """SIGKILL from outside, as a power cut or the kernel that runs out of memory."""

    async def kill(self, pod: Json) -> None:
        """End the first process of a pod's container, and wait until Kubernetes has seen that."""
        os.kill(first_process(pod), signal.SIGKILL)
        await until(lambda: self._died(pod), seconds=_DIED_SECONDS, otherwise=f"{name(pod)} was killed and lives on")


class KilledLeader(Killed):
    """The operator's leader; another one has to lead afterwards."""

    def __init__(self, ground: Ground, find: Find) -> None:
        super().__init__(ground, find, what="leader of the operator", workers=False)
        self._leader = ""

    async def strike(self) -> str:
        """See `Hands`."""
        self._leader = (await self._ground.lease()).get("holderIdentity", "")
        return await super().strike()

    async def healed(self) -> bool:
        """See `Hands`."""
        return await super().healed() and await quietly(self._another_leads)

    async def _another_leads(self) -> bool:
        return (await self._ground.lease()).get("holderIdentity", "") not in {"", self._leader}


class LostWorkersToBroker(CutWorkers):
    """Packets between the pool's workers and the broker's pods are dropped, those of standing connections too."""

    def __init__(self, ground: Ground, *, broker: str) -> None:
        """`broker`: selector of its pods."""
        super().__init__(ground)
        self._broker = broker

    async def strike(self) -> str:
        """See `Hands`."""
        workers, brokers = await self._ground.workers(), await self._ground.pods(self._broker)
        ours, theirs = addresses(workers), addresses(brokers)
        drop([f"ip saddr {ours} ip daddr {theirs} drop", f"ip saddr {theirs} ip daddr {ours} drop"])
        return f"packets between {len(workers)} workers and their broker dropped (nftables)"

    async def mend(self) -> None:
        """See `Hands`."""
        pass_again()


class LostOperatorToApi(CutOperator):
    """Packets between the operator's pods and the API server are dropped."""

    async def strike(self) -> str:
        """See `Hands`."""
        ours = addresses(await self._ground.operators())
        drop([f"ip saddr {ours} tcp dport {API_PORT} drop", f"ip daddr {ours} tcp sport {API_PORT} drop"])
        return "packets between the operator and the API server dropped (nftables)"

    async def mend(self) -> None:
        """See `Hands`."""
        pass_again()
        self._mended = True


class LostNode:
    """A node is lost as by a power cut; afterwards it comes back."""

    def __init__(self, ground: Ground, *, cluster: Cluster, node: str) -> None:
        self._ground = ground
        self._cluster = cluster
        self._node = node
        self._victims: frozenset[str] = frozenset()

    @property
    def victims(self) -> frozenset[str]:
        """See `Hands`."""
        return self._victims

    async def strike(self) -> str:
        """See `Hands`."""
        self._victims = frozenset(uid(pod) for pod in await self._ground.workers() if self._there(pod))
        await asyncio.to_thread(self._cluster.stop_node, self._node)
        return f"{self._node} lost with its {len(self._victims)} workers"

    async def healed(self) -> bool:
        """See `Hands`: until Kubernetes has noticed, pods of the lost node are still called Ready."""
        return await quietly(self._as_many_elsewhere)

    async def took(self) -> bool | None:
        """See `Hands`."""
        return bool(self._victims)

    async def mend(self) -> None:
        """See `Hands`."""
        await asyncio.to_thread(self._cluster.start_node, self._node)

    async def _as_many_elsewhere(self) -> bool:
        ready = [pod for pod in await self._ground.workers() if is_ready(pod) and not self._there(pod)]
        return len(ready) >= len(self._victims)

    def _there(self, pod: Json) -> bool:
        return bool(pod["spec"].get("nodeName") == self._node)


class HeldLock:
    """The program of `wpool chaos` holds the lock, as a process of this machine."""

    victims: frozenset[str] = frozenset()

    def __init__(self, *, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None

    async def strike(self) -> str:
        """See `Hands`."""
        _, *words = program("lock", "QUEUE_MAIN", "workerpool.jobs", str(self._seconds + 30))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *words), env=os.environ | {"QUEUE_MAIN_URL": self._url}, stdout=subprocess.PIPE
        )
        assert self._process.stdout
        async with asyncio.timeout(_HELD_SECONDS):
            said = await self._process.stdout.readline()
        if b"held" not in said:
            raise TroubleError(f"the lock could not be had: {said.decode()}")
        return "ACCESS EXCLUSIVE lock on workerpool.jobs held"

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`."""
        return self._process is not None and self._process.returncode is None

    async def mend(self) -> None:
        """See `Hands`."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


class Switch:
    """Something of this process that is slow while it is switched on: a proxy, or what handlers call."""

    victims: frozenset[str] = frozenset()

    def __init__(self, turn: Callable[[float], None], *, seconds: float, slowed: Callable[[], int], what: str) -> None:
        """`turn` sets the delay, `slowed` counts what was delayed."""
        self._turn = turn
        self._seconds = seconds
        self._slowed = slowed
        self._what = what

    async def strike(self) -> str:
        """See `Hands`."""
        self._turn(self._seconds)
        return self._what

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`."""
        return self._slowed() > 0

    async def mend(self) -> None:
        """See `Hands`."""
        self._turn(0.0)


def first_process(pod: Json) -> int:
    """Its id, of the pod's one container, as this machine counts.

    Found by its cgroup: a process may write over its environment, as Redis does.

    Raises:
        TroubleError: there is none here.
    """
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):  # it has ended
            if container in path.read_text():
                found.append(int(path.parent.name))
    if not found:
        raise TroubleError(f"no process of pod {name(pod)} on this machine")
    return min(found)


def addresses(pods: Iterable[Json]) -> str:
    """Of pods, as a set of nftables.

    Raises:
        TroubleError: there are none, and nothing would be cut.
    """
    found = sorted(pod["status"]["podIP"] for pod in pods)
    if not found:
        raise TroubleError("nothing was broken: there is no pod to cut off")
    return f"{{ {', '.join(found)} }}"


def ruleset(rules: Iterable[str]) -> str:
    """These rules for what comes to this machine and what passes through it, which is also what bridges pass.

    The empty table in front makes the set the same however often it is loaded.
    """
    lines = "\n".join(f"        {rule}" for rule in rules)
    chains = "\n".join(
        f"    chain {hook} {{\n        type filter hook {hook} priority filter; policy accept;\n{lines}\n    }}"
        for hook in ("input", "forward", "output")
    )
    return f"table ip {TABLE} {{}}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{chains}\n}}\n"


def drop(rules: Iterable[str]) -> None:
    """Have the kernel follow them."""
    subprocess.run(["nft", "-f", "-"], input=ruleset(rules), text=True, check=True)


def pass_again() -> None:
    """Forget all of them, those of a run that was killed too."""
    subprocess.run(["nft", "delete", "table", "ip", TABLE], check=False, capture_output=True)
