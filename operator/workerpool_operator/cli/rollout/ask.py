"""What the commands ask of the cluster, and write to it.

Imported only where a cluster is asked: the Kubernetes client takes a second.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import TroubleError, expect_operator
from workerpool_operator.cli.interrupts import leaves
from workerpool_operator.cli.rollout.state import End, Known, NoRolloutError, ended, history, meant, rollout_of
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, Command, Verb, parse, said
from workerpool_operator.kube import ClusterAccess, Kube, KubeError, ObjectRef, kinds

POLL_SECONDS: Final = 1.0


class RefusedError(Exception):
    """The operator has answered that the command does not fit what is going on."""


class NotInTimeError(Exception):
    """It did not come to that in time."""


async def changes(access: ClusterAccess, namespace: str, name: str) -> AsyncIterator[dict[str, Any]]:
    """The pool, again whenever it has changed. An API server that is away for a while is waited for.

    Raises:
        KubeError: it refuses, and will go on to.
    """
    ref, seen = ObjectRef(kinds.WORKER_POOL, namespace, name), ""
    async with Kube(access) as kube:
        while True:
            try:
                async with cluster.within(access, namespace):
                    body = await kube.get(ref)
            except KubeError as error:
                if not error.retryable or not seen:
                    raise
            else:
                version = str(body["metadata"].get("resourceVersion", ""))
                if version != seen:
                    seen = version
                    yield body
            await asyncio.sleep(POLL_SECONDS)


async def wait_for_end(access: ClusterAccess, namespace: str, name: str, *, seconds: float) -> End:
    """How the rollout of what the pool asks for ends. `seconds` 0: for as long as it takes.

    Raises:
        NoRolloutError: the pool has none.
        TroubleError: no operator runs that would decide.
        NotInTimeError: it has not ended in time; the message says where it is.
        EndedError: the command was interrupted.
        KubeError: the pool cannot be read.
    """
    last: dict[str, Any] = {}
    looked = False
    goes_on = f"The rollout goes on: `wpool rollout get {name} -n {namespace}` shows how far it is"
    with contextlib.suppress(TimeoutError), leaves(goes_on):
        async with asyncio.timeout(seconds or None):
            async for body in changes(access, namespace, name):
                last = rollout_of(body)
                if body.get("spec", {}).get("rollout", {}).get("strategy") != "Canary":
                    raise NoRolloutError
                if (end := ended(body)) is not None:
                    return end
                if not looked:  # one that goes later comes back, or is told of by --timeout
                    await expect_operator(access, namespace, but="nothing is decided")
                    looked = True
    raise NotInTimeError(
        f"not decided within {seconds:g} s: step {last.get('step')}, {last.get('verdict')} {last.get('wait')}"
    )


async def tell(
    access: ClusterAccess,
    namespace: str,
    name: str,
    verb: Verb,
    *,
    version: str = "",
    step: int | None = None,
    dry_run: bool = False,
) -> Command:
    """Write the command, and give it. It names its version, so it does nothing to one that came meanwhile.

    `version`, `step`: those that a person was asked about, or saw; empty, None: those that are meant now. A step
    counts where one is to be ended: said twice of one step, the second is refused.

    Raises:
        TroubleError: by now another version is meant.
    """
    body = await cluster.pool_of(access, namespace, name)
    now = meant(body)
    if version and now != version:
        raise TroubleError(f"{name} is at version {now} by now, and {version} was meant: nothing was done")
    if verb is Verb.PROMOTE and step is None:
        step = rollout_of(body).get("step") or None  # 0: none is tried, and the operator says what it makes of that
    command = Command(verb=verb, version=now, step=step, id=uuid.uuid4().hex[:8])
    patch = {"metadata": {"annotations": {COMMAND_ANNOTATION: said(command)}}}
    await cluster.patch_pool(access, namespace, name, patch, dry_run=dry_run)
    return command


async def wait_for_answer(
    access: ClusterAccess, namespace: str, name: str, *, command: str, seconds: float
) -> dict[str, Any]:
    """The rollout's status after the operator has answered this command.

    Raises:
        RefusedError: it does not fit what is going on.
        NotInTimeError: nobody has answered, and it stands; or somebody has written another one over it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for body in changes(access, namespace, name):
                rollout = rollout_of(body)
                if rollout.get("commandId") == command:
                    if rollout.get("commandRefused"):
                        raise RefusedError("the operator refused it: it does not fit what is going on")
                    return rollout
                other = parse((body["metadata"].get("annotations") or {}).get(COMMAND_ANNOTATION) or "")
                if other is not None and other.id != command:
                    raise NotInTimeError(
                        f"somebody has written another command over it ({other.verb} for version {other.version}) "
                        f"before it was answered: `wpool rollout get {name} -n {namespace}` shows what has become of it"
                    )
    raise NotInTimeError(f"written, and not answered within {seconds:g} s: does the operator run?")


async def wait_for_another(access: ClusterAccess, namespace: str, name: str, before: str, *, seconds: float) -> None:
    """Until the operator has seen that another version than `before` is asked for, or as long as that can be seen."""
    with contextlib.suppress(TimeoutError, KubeError):
        async with asyncio.timeout(seconds):
            async for body in changes(access, namespace, name):
                if rollout_of(body).get("wanted") != before:
                    return


async def expect_answers(access: ClusterAccess, namespace: str) -> None:
    """Go on to wait only if an operator looks after the namespace, or that cannot be seen.

    Raises:
        NotInTimeError: none runs.
    """
    try:
        await expect_operator(access, namespace, but="written, and nobody answers")
    except TroubleError as error:
        raise NotInTimeError(str(error)) from None


async def known(access: ClusterAccess, namespace: str, name: str) -> list[Known]:
    """The versions that the pool has had, as far as they are known."""
    async with Kube(access) as kube:
        async with cluster.within(access, namespace):
            body = await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, name))
        selector = f"{POOL_LABEL}={name}"
        revisions = await kube.list(kinds.CONTROLLER_REVISION, namespace=namespace, label_selector=selector).all()
    return history(rollout_of(body), revisions)
