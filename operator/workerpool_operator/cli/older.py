"""Whether the operator in a cluster is older than this command, by what the cluster tells its users.

Its resource definition is known from the schema that the API server publishes, which every user may read; its release
from the label of its Deployment, which not every user may see. Imported only where a cluster is asked: the Kubernetes
client takes a second.
"""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final

from workerpool_operator import __version__
from workerpool_operator.api.crd import definition
from workerpool_operator.cli.doctor.schema import fields, paths
from workerpool_operator.cli.doctor.seen import OPERATOR_SELECTOR, VERSION_LABEL, some
from workerpool_operator.kube import ClusterAccess, Kube, KubeError, kinds

Json = dict[str, Any]

_SECONDS: Final = 5.0


async def older(access: ClusterAccess) -> str:
    """A sentence that says so, and what to do; empty where it is not, or where that cannot be seen. Never raises."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS), Kube(access) as kube:
            schema, operators = await asyncio.gather(_schema(kube), _operators(kube))
            return told(schema, operators)
    return ""


def told(schema: Json, operators: Sequence[Json], *, release: str = __version__) -> str:
    """See `older`. `schema`: of WorkerPool, as it is published; `operators`: Deployments; both empty if not known."""
    if schema and (missing := fields(definition()) - paths(schema)):
        return (
            f"The resource definition in this cluster is older than this wpool: it lacks {some(missing)}. Apply crds/ "
            "of this release and upgrade the operator, or use the wpool of the operator's release"
        )
    for one in operators:
        metadata = one["metadata"]
        found = (metadata.get("labels") or {}).get(VERSION_LABEL, "")
        if found and _numbers(found) < _numbers(release):
            return (
                f"The operator in this cluster ({metadata['namespace']}/{metadata['name']}) is release {found}, older "
                f"than this wpool ({release}), so it may not know what was asked. Upgrade it, or use the wpool of its "
                "release"
            )
    return ""


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", release)[:3])


async def _schema(kube: Kube) -> Json:
    try:
        return await kube.published(kinds.WORKER_POOL)
    except KubeError:
        return {}


async def _operators(kube: Kube) -> Sequence[Json]:
    try:
        return await kube.list(kinds.DEPLOYMENT, label_selector=OPERATOR_SELECTOR).all()
    except KubeError:
        return ()
