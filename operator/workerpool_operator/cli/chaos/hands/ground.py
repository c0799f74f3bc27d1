"""What all hands share: the pool, its cluster, and questions about pods."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool_operator.cli.chaos.cleanup import leftovers, undo
from workerpool_operator.cli.chaos.eyes import is_ready, restarts
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.doctor.seen import OPERATOR_SELECTOR
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL
from workerpool_operator.domain.desired.names import COLLECTOR
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds

Json = dict[str, Any]

LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may say of how it is broken; empty where it was not said."""

    seconds: float = 30.0
    milliseconds: int = 300
    service: str = ""
    node: str = ""
    broker: str = ""
    """Selector of the broker's pods."""
    path: str = ""
    most_mib: int = 1024
    table: str = "workerpool.jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where it is played."""

    access: ClusterAccess
    kube: Kube
    namespace: str
    pool: str
    operator_namespace: str
    options: Options = field(default_factory=Options)

    async def workers(self) -> list[Json]:
        """The pool's ready workers that are not being stopped."""
        return [pod for pod in await self.pods(f"{POOL_LABEL}={self.pool}") if is_ready(pod)]

    async def collectors(self) -> list[Json]:
        """Those of the namespace."""
        return await self.pods(f"{COMPONENT_LABEL}={COLLECTOR}")

    async def operators(self) -> list[Json]:
        """The operator's pods."""
        return await self.pods(OPERATOR_SELECTOR, namespace=self.operator_namespace)

    async def pods(self, selector: str, *, namespace: str = "") -> list[Json]:
        """Pods that are not being stopped."""
        found = await self.kube.list(kinds.POD, namespace=namespace or self.namespace, label_selector=selector).all()
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def lease(self) -> Json:
        """What the operator's leader has said last: `holderIdentity`, `renewTime` and more; empty without one."""
        names = [pod["metadata"]["name"] for pod in await self.operators()]
        found = await self.kube.list(kinds.LEASE, namespace=self.operator_namespace).all()
        held = [one["spec"] for one in found if (one.get("spec") or {}).get("holderIdentity")]
        return next((one for one in held if one["holderIdentity"].partition("_")[0] in names), {})

    async def put_back(self) -> None:
        """Undo all that carries our labels."""
        found = await leftovers(self.kube, (self.namespace, self.operator_namespace), pool=self.pool, nodes=True)
        await undo(self.kube, found)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float, otherwise: str) -> None:
    """Wait for it.

    Raises:
        TroubleError: `otherwise`, where it was not so in time.
    """
    give_up = time.monotonic() + seconds
    while not await quietly(condition):
        if time.monotonic() > give_up:
            raise TroubleError(otherwise)
        await asyncio.sleep(LOOK_SECONDS)


async def quietly(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it is so; not, where the cluster does not answer."""
    try:
        return await condition()
    except errors.KubeError as error:
        if not error.retryable:
            raise
        return False


def uid(pod: Mapping[str, Any]) -> str:
    """Of a pod."""
    return str(pod["metadata"]["uid"])


def name(pod: Mapping[str, Any]) -> str:
    """Of a pod."""
    return str(pod["metadata"]["name"])


def counts(pods: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Uid -> restarts."""
    return {uid(pod): restarts(pod) for pod in pods}
