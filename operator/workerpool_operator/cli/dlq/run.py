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
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.dlq.job import CONTAINER, image_of, job
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


async def run(access: ClusterAccess, where: Where, arguments: Sequence[str]) -> list[Json]:
    """What the Job said: the JSON objects of its log.

    Raises:
        TroubleError: it could not be run, failed, was ended in its midst, or took too long.
        KubeError: the API server refuses it.
    """
    async with Kube(access) as kube:
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
        await kube.create(made)
        ref = ObjectRef(kinds.JOB, where.namespace, name)
        try:
            pod = await _ended(kube, ref, seconds=where.seconds)
            return understood(await _log(access, where.namespace, pod["metadata"]["name"]), cut_off=cut_off(pod))
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
    raise TroubleError(
        f"the pod of Job {ref.name} {state} after {seconds:g} s. `kubectl get events -n {ref.namespace}` says more; "
        "--timeout waits longer"
    )


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


def understood(text: str, *, cut_off: str) -> list[Json]:
    """Its lines; what libraries write beside them is passed over.

    Raises:
        TroubleError: it says that it failed, or was ended before it was done.
    """
    found, other = [], list[str]()
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if isinstance(said, dict):
            found.append(said)
        elif line.strip():
            other.append(line)
    failed = next((said["error"] for said in found if set(said) == {"error"}), None)
    if failed is not None:
        raise TroubleError(f"the pool's queue cannot be asked: {failed}")
    if cut_off:
        last = f", after it said {other[-1][:500]!r}" if other else ""
        raise TroubleError(
            f"the Job was ended before it was done ({cut_off}{last}). What it has moved or deleted until then is so: "
            "`wpool dlq list` shows what is left"
        )
    return found
