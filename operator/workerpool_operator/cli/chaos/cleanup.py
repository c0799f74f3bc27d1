"""Finds what a play has made or changed, and undoes it: the way back of each play, and of one that was killed.

Everything follows from the labels, so it may be begun again at any point. Imported only where a cluster is asked.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workerpool_operator.cli.chaos.marks import BROKEN_LABEL, undoing
from workerpool_operator.kube import Kind, Kube, ObjectRef, errors, kinds

Json = Mapping[str, Any]

# In this order: traffic leads back to where it went before what it was led to is deleted.
_KINDS: Final = (kinds.SERVICE, kinds.NETWORK_POLICY, kinds.JOB, kinds.POD)


async def leftovers(
    kube: Kube, namespaces: Sequence[str], *, pool: str, nodes: bool = False
) -> list[tuple[ObjectRef, Json]]:
    """What is there of plays with this pool, in these namespaces and, if asked for, among the nodes.

    Raises:
        KubeError: it cannot be read. Kinds that this user may not list are left out: they made none of them.
    """
    found: list[tuple[ObjectRef, Json]] = []
    places: list[tuple[Kind, str]] = [(kind, namespace) for kind in _KINDS for namespace in dict.fromkeys(namespaces)]
    places += [(kinds.NODE, "")] if nodes else []
    for kind, namespace in places:
        with contextlib.suppress(errors.Forbidden):
            listing = kube.list(kind, namespace=namespace or None, label_selector=f"{BROKEN_LABEL}={pool}")
            found += [(ObjectRef(kind, namespace, body["metadata"]["name"]), body) async for body in listing]
    return [(ref, body) for ref, body in found if not _goes_with_its_job(ref, body)]


async def undo(kube: Kube, found: Sequence[tuple[ObjectRef, Json]]) -> list[str]:
    """Undo them all, and tell what was done. One that is refused does not keep the others from it.

    Raises:
        KubeError: the first refusal, when all were tried.
    """
    told, refused = [], list[errors.KubeError]()
    for ref, body in found:
        try:
            told.append(await _undo(kube, ref, body))
        except errors.KubeError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return told


async def _undo(kube: Kube, ref: ObjectRef, body: Json) -> str:
    try:
        patch = undoing(body)
    except ValueError as error:
        return f"left alone: {error}"
    if patch is None:
        await kube.delete(ref)
        return f"{ref}: deleted"
    with contextlib.suppress(errors.NotFound):
        await kube.merge_patch(ref, patch)
    return f"{ref}: put back"


def _goes_with_its_job(ref: ObjectRef, body: Json) -> bool:
    owners = body["metadata"].get("ownerReferences") or ()
    return ref.kind is kinds.POD and any(owner.get("kind") == "Job" for owner in owners)
