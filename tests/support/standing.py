"""An operator that is there, or not, as far as others can see it: by its Lease, and by what it answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from workerpool_operator.cli.standing import LEASE_NAME
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, parse
from workerpool_operator.kube import Kube, ObjectRef, kinds


async def no_lease_is_left(kube: Kube) -> None:
    """Whoever held it."""
    for lease in await kube.list(kinds.LEASE, field_selector=f"metadata.name={LEASE_NAME}").all():
        await kube.delete(ObjectRef(kinds.LEASE, lease["metadata"]["namespace"], LEASE_NAME))


@contextlib.asynccontextmanager
async def answering(kube: Kube, pool: ObjectRef, *, refused: bool = False) -> AsyncIterator[None]:
    """As long as it lasts the pool's rollout commands are answered, as the operator does."""
    task = asyncio.create_task(_answer(kube, pool, refused=refused))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _answer(kube: Kube, pool: ObjectRef, *, refused: bool) -> None:
    last = ""
    while True:
        annotations = (await kube.get(pool))["metadata"].get("annotations") or {}
        command = parse(annotations.get(COMMAND_ANNOTATION, ""))
        if command is not None and command.id != last:
            last = command.id
            answer = {"status": {"rollout": {"commandId": command.id, "commandRefused": refused}}}
            await kube.merge_patch(pool, answer, subresource="status")
        await asyncio.sleep(0.05)
