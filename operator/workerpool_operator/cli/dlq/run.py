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
from workerpool_operator.cli.interrupts import EndedError
from workerpool_operator.cli.pods import pod_state
from workerpool_operator.domain.desired.names import COLLECTOR_NAME
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

Json = dict[str, Any]

_LOOK_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 30.0
_MARGIN_SECONDS: Final = 30
_MOST_BYTES: Final = 64 * 1024 * 1024
_LONGEST_STEM: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The pool that is asked about."""

    namespace: str
    pool: str
    seconds: float
    """How long the Job may take, the start of its pod included."""


class LateError(TroubleError):
    """The Job has not ended in time."""


async def run(access: ClusterAccess, where: Where, arguments: Sequence[str]) -> list[Json]:
    """What the Job said: the JSON objects of its log.

    Raises:
        TroubleError: it could not be run, failed, was ended in its midst, or took too long: with how much was done.
        EndedError: the command was interrupted, in the midst of a move.
        KubeError: the API server refuses it.
    """
    done = _done_by(arguments)
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
                "operator run? `wpool doctor` tells"
            ) from None
        name = f"{where.pool[:_LONGEST_STEM]}-dlq-{secrets.token_hex(4)}"
        # Later than we give up, so that what is said then is why the pod did not end, and not that it was ended.
        made = job(pool, arguments, name=name, image=image_of(collector), seconds=int(where.seconds) + _MARGIN_SECONDS)
        ref = ObjectRef(kinds.JOB, where.namespace, name)
        try:
            await kube.create(made)
            pod = await _ended(kube, ref, seconds=where.seconds)
            text = await _log(access, where.namespace, pod["metadata"]["name"])
            return understood(text, cut_off=cut_off(pod), done=done)
        except LateError as late:
            raise TroubleError(f"{late}{await _until_then(access, kube, ref, done)}") from None
        except asyncio.CancelledError:
            if not done:
                raise
            raise EndedError(f"The Job is deleted.{await _until_then(access, kube, ref, done)}") from None
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


def _done_by(arguments: Sequence[str]) -> str:
    """What becomes of dead letters by this; empty: nothing."""
    return "" if "--dry-run" in arguments else {"redrive": "wait again", "purge": "were deleted"}.get(arguments[0], "")


async def _until_then(access: ClusterAccess, kube: Kube, ref: ObjectRef, done: str) -> str:
    """A sentence on how much the Job has done that is about to be deleted; empty: it was to do nothing."""
    if not done:
        return ""
    selector = f"batch.kubernetes.io/job-name={ref.name}"
    try:
        pods = await kube.list(kinds.POD, namespace=ref.namespace, label_selector=selector).all()
        begun = [pod["metadata"]["name"] for pod in pods if (pod.get("status") or {}).get("phase") != "Pending"]
        return f" {so_far(objects(await _log(access, ref.namespace, begun[0]))[0] if begun else [], done=done)}"
    except (errors.KubeError, TroubleError, aiohttp.ClientError, TimeoutError) as error:
        return f" How much it has done is not known ({error}): `wpool dlq list` shows what is left"


def so_far(found: Sequence[Json], *, done: str) -> str:
    """How much a move has done until it was ended, as far as it has said: it says so every second."""
    counts = {str(one["queue"]): int(one.get("count") or one.get("so_far") or 0) for one in found if "queue" in one}
    told = ", ".join(f"{count} of queue {queue}" for queue, count in counts.items() if count)
    return f"Until then {told or 'none'} {done}, as far as it has said: `wpool dlq list` shows what is left"


async def _why_no_pod(kube: Kube, ref: ObjectRef) -> str:
    """The Job controller's words on why it cannot make a pod; nothing where events may not be read."""
    with contextlib.suppress(errors.KubeError):
        selector = f"regarding.kind=Job,regarding.name={ref.name},type=Warning"
        found = await kube.list(kinds.EVENT, namespace=ref.namespace, field_selector=selector).all()
        if found:
            return f"cannot be made ({found[-1].get('note', '')}) and is still missing"
    return ""


async def _log(access: ClusterAccess, namespace: str, pod: str) -> str:
    path = kinds.POD.path(namespace=namespace, name=pod, subresource="log")
    query = {"container": CONTAINER, "limitBytes": str(_MOST_BYTES)}
    async with (
        access.watch_session() as session,
        session.get(access.server + path, params=query, timeout=aiohttp.ClientTimeout(total=_LOG_SECONDS)) as answer,
    ):
        text = await answer.text(errors="replace")
        if answer.status != 200:  # noqa: PLR2004  an HTTP status
            raise TroubleError(f"the log of pod {pod} cannot be read (HTTP {answer.status}): {text[:300]}")
        return text


def cut_off(pod: Mapping[str, Any]) -> str:
    """Why the pod ended without having done it all, as Kubernetes says; empty: it came to its end by itself."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return ""
    ends = [(one.get("state") or {}).get("terminated") or {} for one in status.get("containerStatuses") or ()]
    told = [f"{one.get('reason', 'Error')}, exit code {one.get('exitCode')}" for one in ends if one.get("exitCode")]
    return "; ".join(filter(None, [status.get("reason", ""), *told])) or "Kubernetes does not say why"


def understood(text: str, *, cut_off: str, done: str = "") -> list[Json]:
    """Its lines; what libraries write beside them is passed over.

    Raises:
        TroubleError: it says that it failed, or was ended before it was done; with `done` how much was.
    """
    found, other = objects(text)
    until_then = f". {so_far(found, done=done)}" if done else ""
    failed = next((said["error"] for said in found if set(said) == {"error"}), None)
    if failed is not None:
        raise TroubleError(f"the pool's queue cannot be asked: {failed}{until_then if len(found) > 1 else ''}")
    if cut_off:
        last = f", after it said {other[-1][:500]!r}" if other else ""
        raise TroubleError(f"the Job was ended before it was done ({cut_off}{last}){until_then}")
    return [said for said in found if "so_far" not in said]


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
