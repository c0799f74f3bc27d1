"""A node that workers leave, as the page has it: `wpool drain --node`, but that nobody waits for its end.

A request would have to stay open for as long as the longest job, and what ends it (a closed tab, a laptop that sleeps)
would end the drain. So the order is written with an end, by which the operator gives up, and the page shows the rest.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from workerpool_operator.domain.scaling import overrides
from workerpool_operator.kube import ClusterAccess
from workerpool_operator.ui.fields import number
from workerpool_operator.ui.outcomes import AskFirstError, NotDoneError
from workerpool_operator.ui.shared import (
    DrainTarget,
    TroubleError,
    counted,
    expect_operator,
    order_drain,
    question,
    workers_on,
)

Json = Mapping[str, Any]

LONGEST_MINUTES: Final = 1_440.0
"""As of the command."""


def in_force(pool: Json) -> list[str]:
    """The nodes that this pool's workers leave now, in words."""
    found = overrides(pool["metadata"].get("annotations") or {}).draining(wall=datetime.now(UTC))
    return [f"{one.node} until {one.until.astimezone(UTC):%H:%M:%S} UTC" for one in found]


def nodes(pods: Iterable[Json]) -> list[str]:
    """Where these pods are."""
    return sorted({str(node) for pod in pods if (node := (pod.get("spec") or {}).get("nodeName"))})


async def drain(access: ClusterAccess, pool: Json, said: Mapping[str, str]) -> str:
    """Cordon the node, and have this pool's workers leave it, or those of all pools (`all`); what to tell.

    Raises:
        AskFirstError: a person has not agreed to just this (`sure`).
        NotDoneError: no operator runs that would do it; nothing was written.
        TroubleError: it cannot be done, or `said` is not what it takes.
        KubeError: the API server refuses, or does not answer.
    """
    node = said.get("node", "").strip()
    if not node:
        raise TroubleError("Say which node.")
    minutes = number(said.get("minutes", ""), "minutes", 0.1, LONGEST_MINUTES)
    namespace, name = pool["metadata"]["namespace"], pool["metadata"]["name"]
    everybody = bool(said.get("all"))
    target = DrainTarget(node=node, namespace=None if everybody else namespace, pool=None if everybody else name)
    there = await workers_on(access, target)
    asked = question("drain-node", node=node, workers=counted(there)) if there else question("cordon-node", node=node)
    if said.get("sure") != asked:
        raise AskFirstError(asked)
    if there:
        try:
            await expect_operator(access, target.namespace, but="nothing was done")
        except TroubleError as error:
            raise NotDoneError(str(error)) from None
    done = await order_drain(access, target, seconds=minutes * 60)
    uncordon = f"`kubectl uncordon {node}` ends that"
    if not done.there:
        whose = "a pool" if everybody else name
        return f"no worker of {whose} is on {node}, so nothing was to be moved; it is cordoned, {uncordon}."
    return (
        f"until {done.until:%H:%M:%S} UTC these leave {node}: {counted(done.there)}. Pods below shows those of {name}, "
        f"and `wpool drain --node {node}` waits for all. Who is left then stays; the node is cordoned, {uncordon}."
    )
