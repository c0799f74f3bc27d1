"""How commands change a pool: the only place from where they write to one.

Only fields that the cluster knows: one that is older would drop the others without a word. Imported only where a
cluster is asked: the Kubernetes client takes a second.
"""

from collections.abc import Callable
from typing import Any, Final

from workerpool_operator.kube import Kube, ObjectRef, errors

Json = dict[str, Any]

TRIES: Final = 10
"""The operator writes a pool's status once in a while, and others what they want of it: not so often in a row."""


async def write(kube: Kube, ref: ObjectRef, patch: Json, *, dry_run: bool = False) -> None:
    """Merge this into a pool.

    `dry_run`: the API server checks it, with all that would admit or refuse it, and writes nothing.

    Raises:
        KubeError: it may not be written; UnknownField: the resource definition of this cluster is older.
    """
    await kube.merge_patch(ref, patch, strict=True, dry_run=dry_run)


async def rewrite(kube: Kube, ref: ObjectRef, change: Callable[[Json], Json | None], *, dry_run: bool = False) -> None:
    """Merge what `change` makes of the pool as it is, into no other state of it. None: nothing is to be written.

    Made anew, up to so many times, where somebody has written the pool between the reading and the writing.

    Raises:
        KubeError: as `write`, or it cannot be read; Conflict: others wrote it each time.
    """
    for left in reversed(range(TRIES)):
        body = await kube.get(ref)
        if (patch := change(body)) is None:
            return
        version = body["metadata"]["resourceVersion"]
        try:
            await kube.merge_patch(ref, patch, resource_version=version, strict=True, dry_run=dry_run)
        except errors.Conflict:
            if not left:
                raise
        else:
            return
