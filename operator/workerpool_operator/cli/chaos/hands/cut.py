"""Traffic is cut by a NetworkPolicy, where the cluster's network enforces them.

Policies only ever allow: what one of them lets through no other can forbid. So where there are some for the same pods,
their rules are taken out of them for as long as it lasts, and written into an annotation that puts them back.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workerpool_operator.cli.chaos.hands.ground import Ground, Json, quietly
from workerpool_operator.cli.chaos.marks import broken, made
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL
from workerpool_operator.domain.desired.names import COLLECTOR
from workerpool_operator.kube import ObjectRef, errors, kinds

_DNS: Final = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
_COLLECTOR: Final = {"to": [{"podSelector": {"matchLabels": {COMPONENT_LABEL: COLLECTOR}}}]}
_SILENT: Final = timedelta(seconds=10)


class CutWorkers:
    """The pool's workers reach DNS and their collector, and nothing else."""

    victims: frozenset[str] = frozenset()

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def strike(self) -> str:
        """See `Hands`."""
        ground = self._ground
        pods = await ground.workers()
        if not pods:
            raise TroubleError(f"nothing was broken: {ground.pool} has no worker")
        chosen = {POOL_LABEL: ground.pool}
        others = await _egress(ground, ground.namespace, [pod["metadata"]["labels"] for pod in pods])
        wide = [one for one in others if one["spec"].get("podSelector", {}).get("matchLabels") != chosen]
        if wide:
            raise TroubleError(
                f"nothing was broken: NetworkPolicy {wide[0]['metadata']['name']} lets these workers through, and is "
                "not theirs alone, so it is left as it is"
            )
        for policy in others:
            await _emptied(ground, policy, allowed=[_DNS, _COLLECTOR])
        await _deny(ground, ground.namespace, selector={"matchLabels": chosen}, allowed=[_DNS, _COLLECTOR])
        return f"workers of {ground.pool} reach nothing but DNS and their collector (NetworkPolicy)"

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`: that jobs wait is looked at anyway."""
        return None

    async def mend(self) -> None:
        """See `Hands`."""
        await self._ground.put_back()


class CutOperator:
    """The operator's pods reach DNS and nothing else."""

    victims: frozenset[str] = frozenset()

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._renewed = ""
        self._mended = False

    async def strike(self) -> str:
        """See `Hands`."""
        ground = self._ground
        pods = await ground.operators()
        if not pods:
            raise TroubleError(f"nothing was broken: there is no operator in {ground.operator_namespace}")
        labels = [pod["metadata"]["labels"] for pod in pods]
        for policy in await _egress(ground, ground.operator_namespace, labels):
            await _emptied(ground, policy, allowed=[_DNS])
        one = {"matchLabels": {"app.kubernetes.io/name": labels[0]["app.kubernetes.io/name"]}}
        await _deny(ground, ground.operator_namespace, selector=one, allowed=[_DNS])
        return "the operator reaches nothing but DNS (NetworkPolicy)"

    async def healed(self) -> bool:
        """See `Hands`: the leader has spoken again."""
        return not self._mended or await quietly(self._spoken)

    async def took(self) -> bool | None:
        """See `Hands`: the leader has said nothing for a while."""
        self._renewed = (await self._ground.lease()).get("renewTime", "")
        return bool(self._renewed) and datetime.now(UTC) - datetime.fromisoformat(self._renewed) > _SILENT

    async def mend(self) -> None:
        """See `Hands`."""
        await self._ground.put_back()
        self._mended = True

    async def _spoken(self) -> bool:
        return bool((await self._ground.lease()).get("renewTime", "") > self._renewed)


async def _deny(ground: Ground, namespace: str, *, selector: Json, allowed: list[Json]) -> None:
    await ground.kube.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": made(f"{ground.pool[:200]}-chaos", namespace, pool=ground.pool),
            "spec": {"podSelector": selector, "policyTypes": ["Egress"], "egress": allowed},
        }
    )


async def _emptied(ground: Ground, policy: Json, *, allowed: list[Json]) -> None:
    metadata = policy["metadata"]
    undo = {"spec": {"egress": policy["spec"].get("egress")}}
    await ground.kube.merge_patch(
        ObjectRef(kinds.NETWORK_POLICY, metadata["namespace"], metadata["name"]),
        broken({"spec": {"egress": allowed}}, undo=undo, pool=ground.pool),
        resource_version=metadata["resourceVersion"],
    )


async def _egress(ground: Ground, namespace: str, pods: list[Mapping[str, str]]) -> list[Json]:
    """Policies about what goes out of any of the pods with these labels."""
    try:
        found = await ground.kube.list(kinds.NETWORK_POLICY, namespace=namespace).all()
    except errors.Forbidden as error:
        raise TroubleError(f"nothing was broken: you may not see which NetworkPolicies there are: {error}") from None
    return [
        one
        for one in found
        if "Egress" in one["spec"].get("policyTypes", ()) and any(selects(one, labels) for labels in pods)
    ]


def selects(policy: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a policy is about a pod with these labels. One with expressions counts as one: nothing is risked."""
    wanted = (policy["spec"].get("podSelector") or {}).get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())
