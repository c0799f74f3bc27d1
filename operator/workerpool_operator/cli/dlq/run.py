"""The Job, run: made, waited for, read and deleted, with the user's own rights."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from workerpool_operator import api
from workerpool_operator.cli.cluster import TroubleError, within
from workerpool_operator.cli.dlq.job import CONTAINER, image_of, job
from workerpool_operator.cli.hints import where as here
from workerpool_operator.cli.interrupts import EndedError
from workerpool_operator.cli.pods import pod_state
from workerpool_operator.domain.desired.names import COLLECTOR_NAME
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

Json = dict[str, Any]

_LOOK_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 30.0
_MARGIN_SECONDS: Final = 30
_MOST_BYTES: Final = 64 * 1024 * 1024
_LOG_TRIES: Final = 3
_LONGEST_STEM: Final = 40
_LESS: Final = (
    "A node keeps the newest part of a log only, 10 MiB by default: ask for less, by --limit, --queue, --reason or "
    "--version"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The pool that is asked about."""

    namespace: str
    pool: str
    seconds: float
    """How long the Job may take, the start of its pod included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What becomes of dead letters."""

    done: str
    """Said of those of which it is so."""
    look: str
    """How to see what is left."""


class LateError(TroubleError):
    """The Job has not ended in time."""


async def run(access: ClusterAccess, where: Where, arguments: Sequence[str]) -> list[Json]:
    """What the Job said: the JSON objects of its log.

    Raises:
        TroubleError: it could not be run, failed, was ended in its midst, took too long, or not all of what it said
            can be read: with how much was done.
        EndedError: the command was interrupted, in the midst of a move.
        KubeError: the API server refuses it.
    """
    moves = _moves(arguments, where)
    async with Kube(access) as kube:
        async with within(access, where.namespace):
            body = await kube.get(ObjectRef(kinds.WORKER_POOL, where.namespace, where.pool))
        try:
            pool = api.parse(body)
        except api.InvalidPoolError as error:
            raise TroubleError(f"the pool is of other rules than this wpool's: {error}") from None
        try:
            collector = await kube.get(ObjectRef(kinds.DEPLOYMENT, where.namespace, COLLECTOR_NAME))
        except errors.NotFound:
            raise TroubleError(
                f"{where.namespace} has no Deployment {COLLECTOR_NAME}, whose image the Job would run: does the "
                f"operator run? `wpool doctor{here(namespace=where.namespace)}` tells"
            ) from None
        name = f"{where.pool[:_LONGEST_STEM]}-dlq-{secrets.token_hex(4)}"
        # Later than we give up, so that what is said then is why the pod did not end, and not that it was ended.
        made = job(pool, arguments, name=name, image=image_of(collector), seconds=int(where.seconds) + _MARGIN_SECONDS)
        ref = ObjectRef(kinds.JOB, where.namespace, name)
        try:
            await kube.create(made)
            pod = await _ended(kube, ref, seconds=where.seconds)
            text = await _whole_log(access, where.namespace, pod["metadata"]["name"], moves)
            return understood(text, cut_off=cut_off(pod), moves=moves)
        except LateError as late:
            raise TroubleError(f"{late}{await _until_then(access, kube, ref, moves)}") from None
        except asyncio.CancelledError:
            if moves is None:
                raise
            raise EndedError(f"The Job is deleted.{await _until_then(access, kube, ref, moves)}") from None
        finally:
            # Where even this fails, Kubernetes deletes it some minutes after its end.
            with contextlib.suppress(errors.KubeError):
                await kube.delete(ref)


async def _ended(kube: Kube, ref: ObjectRef, *, seconds: float) -> Mapping[str, Any]:
    """The Job's pod, as soon as its container has ended."""
    state = "has not been made"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    pods = await kube.list(
                        kinds.POD, namespace=ref.namespace, label_selector=f"batch.kubernetes.io/job-name={ref.name}"
                    ).all()
                except errors.KubeError as error:
                    if not error.retryable:
                        raise
                    # The Job goes on meanwhile, and may be in the midst of moving jobs.
                    state = f"cannot be seen ({error})"
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                for pod in pods:
                    if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
                        return pod
                    state = f"is {pod_state(pod)}"
                if not pods:
                    state = await _why_no_pod(kube, ref) or state
                await asyncio.sleep(_LOOK_SECONDS)
    raise LateError(
        f"the pod of Job {ref.name} {state} after {seconds:g} s. `kubectl get events -n {ref.namespace}` says more; "
        "--timeout waits longer"
    )


def _moves(arguments: Sequence[str], where: Where) -> Moves | None:
    """What becomes of dead letters by this; None: nothing."""
    done = {"redrive": "wait again", "purge": "were deleted"}.get(arguments[0])
    if done is None or "--dry-run" in arguments:
        return None
    return Moves(done=done, look=f"`wpool dlq list {where.pool}{here(namespace=where.namespace)}` shows what is left")


async def _until_then(access: ClusterAccess, kube: Kube, ref: ObjectRef, moves: Moves | None) -> str:
    """A sentence on how much the Job has done that is about to be deleted; empty: it was to do nothing."""
    if moves is None:
        return ""
    selector = f"batch.kubernetes.io/job-name={ref.name}"
    try:
        pods = await kube.list(kinds.POD, namespace=ref.namespace, label_selector=selector).all()
        begun = [pod["metadata"]["name"] for pod in pods if (pod.get("status") or {}).get("phase") != "Pending"]
        return f" {so_far(objects(await _log(access, ref.namespace, begun[0]))[0] if begun else [], moves)}"
    except (errors.KubeError, TroubleError, aiohttp.ClientError, TimeoutError) as error:
        return f" How much it has done is not known ({error}): {moves.look}"


def so_far(found: Sequence[Json], moves: Moves) -> str:
    """How much a move has done until it was ended, as far as it has said: it says so every second."""
    counts = {str(one["queue"]): int(one.get("count") or one.get("so_far") or 0) for one in found if "queue" in one}
    told = ", ".join(f"{count} of queue {queue}" for queue, count in counts.items() if count)
    return f"Until then {told or 'none'} {moves.done}, as far as it has said: {moves.look}"


async def _why_no_pod(kube: Kube, ref: ObjectRef) -> str:
    """The Job controller's words on why it cannot make a pod; nothing where events may not be read."""
    with contextlib.suppress(errors.KubeError):
        selector = f"regarding.kind=Job,regarding.name={ref.name},type=Warning"
        found = await kube.list(kinds.EVENT, namespace=ref.namespace, field_selector=selector).all()
        if found:
            return f"cannot be made ({found[-1].get('note', '')}) and is still missing"
    return ""


async def _whole_log(access: ClusterAccess, namespace: str, pod: str, moves: Moves | None) -> str:
    """The log of a Job that has come to its end: asked for again where the connection breaks, as it goes with the Job.

    Raises:
        TroubleError: it cannot be read, or not all of it.
    """
    for left in reversed(range(_LOG_TRIES)):
        try:
            return await _log(access, namespace, pod)
        except (aiohttp.ClientError, TimeoutError) as error:
            if not left:
                why = f"the Job has come to its end, and what it said cannot be read: {error or type(error).__name__}"
                raise TroubleError(f"{why}. {moves.look}" if moves else why) from None
        await asyncio.sleep(_LOOK_SECONDS)
    raise AssertionError("unreachable: the last try returns or raises")


async def _log(access: ClusterAccess, namespace: str, pod: str) -> str:
    path = kinds.POD.path(namespace=namespace, name=pod, subresource="log")
    query = {"container": CONTAINER, "limitBytes": str(_MOST_BYTES)}
    async with (
        access.watch_session() as session,
        session.get(access.server + path, params=query, timeout=aiohttp.ClientTimeout(total=_LOG_SECONDS)) as answer,
    ):
        said = await answer.read()
        text = said.decode(errors="replace")
        if answer.status != 200:  # noqa: PLR2004  an HTTP status
            raise TroubleError(f"the log of pod {pod} cannot be read (HTTP {answer.status}): {text[:300]}")
        if len(said) >= _MOST_BYTES:
            raise TroubleError(f"the Job has said more than {_MOST_BYTES >> 20} MiB. {_LESS}")
        return text


def cut_off(pod: Mapping[str, Any]) -> str:
    """Why the pod ended without having done it all, as Kubernetes says; empty: it came to its end by itself."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return ""
    ends = [(one.get("state") or {}).get("terminated") or {} for one in status.get("containerStatuses") or ()]
    told = [f"{one.get('reason', 'Error')}, exit code {one.get('exitCode')}" for one in ends if one.get("exitCode")]
    return "; ".join(filter(None, [status.get("reason", ""), *told])) or "Kubernetes does not say why"


def understood(text: str, *, cut_off: str, moves: Moves | None = None) -> list[Json]:
    """Its lines; what libraries write beside them is passed over.

    Raises:
        TroubleError: it says that it failed, was ended before it was done (with `moves` how much was), or has said
            more than is there.
    """
    found, other = objects(text)
    until_then = f". {so_far(found, moves)}" if moves else ""
    failed = next((said["error"] for said in found if set(said) == {"error"}), None)
    if failed is not None:
        raise TroubleError(f"the pool's queue cannot be asked: {failed}{until_then if len(found) > 1 else ''}")
    if cut_off:
        last = f", after it said {other[-1][:500]!r}" if other else ""
        raise TroubleError(f"the Job was ended before it was done ({cut_off}{last}){until_then}")
    told = [said for said in found if "queue" in said]
    wanted = next((said["lines"] for said in found if set(said) == {"lines"}), len(told))  # an older one does not say
    if moves is None and len(told) != wanted:
        raise TroubleError(f"of the {wanted} lines that the Job said {len(told)} are there. {_LESS}")
    return [said for said in told if "so_far" not in said]


def objects(text: str) -> tuple[list[Json], list[str]]:
    """The JSON objects of a log, and its other lines."""
    found, other = list[Json](), list[str]()
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if isinstance(said, dict):
            found.append(said)
        elif line.strip():
            other.append(line)
    return found, other
