"""Whether a pool is still there: asked before what belongs to it is made a second time.

The news that a pool was deleted and the news that its children went with it come by different watches, in any order,
and one of them may come late or never. To an operator that has heard of the children only, they look like drift: made
again, they are collected as garbage again, which is news again, and workers start for nobody.
"""

from collections.abc import Iterable

from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.objects import Apply
from workerpool_operator.kube import Kube, kinds


def mends(pool: WorkerPool, applies: Iterable[Apply]) -> bool:
    """Whether a Deployment is to be made for a pool that has been dealt with before, and so may have had it."""
    made = any(apply.only_new and apply.body["kind"] == kinds.DEPLOYMENT.kind for apply in applies)
    return made and pool.status.observed_generation > 0


async def is_there(kube: Kube, pool: WorkerPool) -> bool:
    """Ask the API server whether it is, and is to stay.

    Raises:
        KubeError: it gave no answer.
    """
    # A list of one: the operator's rights hold list and no get.
    named = kube.list(kinds.WORKER_POOL, namespace=pool.namespace, field_selector=f"metadata.name={pool.name}")
    return any(
        one["metadata"]["uid"] == pool.uid and "deletionTimestamp" not in one["metadata"] for one in await named.all()
    )
