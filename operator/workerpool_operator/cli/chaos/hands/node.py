"""A node is lost to the pool: nothing new comes onto it, and the pool's workers there are gone at once.

The node itself goes on, as its loss would hit everybody on it: that is for the machine's own switch.
"""

from collections import Counter

from workerpool_operator.cli.chaos.hands.ground import Ground, name, uid
from workerpool_operator.cli.chaos.marks import allows, broken
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.kube import ObjectRef, kinds


class LostNode:
    """See the module's text."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._victims: frozenset[str] = frozenset()

    @property
    def victims(self) -> frozenset[str]:
        """See `Hands`."""
        return self._victims

    async def strike(self) -> str:
        """See `Hands`."""
        ground = self._ground
        node = await chosen(ground)
        ref = ObjectRef(kinds.NODE, "", node)
        body = await ground.kube.get(ref)
        if not allows(body):
            raise TroubleError(f"nothing was broken: node {node} does not allow it")
        if body["spec"].get("unschedulable"):
            raise TroubleError(f"nothing was broken: {node} is cordoned already")
        there = [pod for pod in await ground.workers() if pod["spec"].get("nodeName") == node]
        self._victims = frozenset(map(uid, there))
        patch = broken({"spec": {"unschedulable": True}}, undo={"spec": {"unschedulable": None}}, pool=ground.pool)
        await ground.kube.merge_patch(ref, patch, resource_version=body["metadata"]["resourceVersion"])
        for pod in there:
            await ground.kube.delete(ObjectRef(kinds.POD, ground.namespace, name(pod)), uid=uid(pod), grace_seconds=0)
        return f"{node} cordoned, and its {len(there)} workers of {ground.pool} deleted without grace"

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`."""
        return bool(self._victims)

    async def mend(self) -> None:
        """See `Hands`."""
        await self._ground.put_back()


async def chosen(ground: Ground) -> str:
    """The node that was named; else the one with the most workers of the pool."""
    if ground.options.node:
        return ground.options.node
    nodes = Counter(pod["spec"].get("nodeName", "") for pod in await ground.workers())
    if not nodes:
        raise TroubleError(f"nothing was broken: {ground.pool} has no worker on any node")
    return str(nodes.most_common(1)[0][0])
