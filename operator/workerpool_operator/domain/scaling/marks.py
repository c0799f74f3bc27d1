"""Which pods carry which pod-deletion-cost, so that the ReplicaSet controller takes who was chosen.

A worker that is to go has `DELETION_COST`. One that will soon be, if nothing happens until then, gets a mark before:
when its time has come the mark is long seen, and it goes at once. Such marks are all different, in the order in which
their workers will be chosen: of pods that compare equal the ReplicaSet controller takes any.
"""

import itertools
from collections.abc import Iterable, Sequence

from workerpool_operator.domain.scaling.workers import DELETION_COST, SOON_COSTS, Readiness, Worker


def soon_to_go(workers: Sequence[Worker], *, after: int, count: int) -> list[Worker]:
    """Of a Deployment's workers those who go next, after the first `after` in order: the idle ones that listen."""
    following = sorted(workers, key=lambda worker: worker.order)[after : after + count]
    return [worker for worker in following if worker.readiness is Readiness.IDLE and worker.listens]


def to_write(
    workers: Sequence[Worker], *, leaving: Iterable[Worker], coming: Iterable[Worker]
) -> list[tuple[Worker, int]]:
    """The marks of one Deployment's workers that are missing, each with its cost.

    One that is to go is marked anew if its mark puts it behind another that stays. One that comes soon gets a cost
    above all that are there, and none where no cost is left: then it is marked when it is to go.
    """
    marked = {worker.pod.uid: worker.pod.cost for worker in workers if worker.pod.marked}
    leaving = list(leaving)
    staying = marked.keys() - {worker.pod.uid for worker in leaving}
    first = min((marked[uid] for uid in staying), default=0)
    final = [w for w in leaving if w.pod.cost != DELETION_COST and marked.get(w.pod.uid, 0) >= first]
    unmarked = [worker for worker in coming if worker.pod.uid not in marked]
    following = itertools.count(max(marked.values(), default=DELETION_COST) + 1)
    soon = [(worker, cost) for worker, cost in zip(unmarked, following, strict=False) if cost in SOON_COSTS]
    return [*((worker, DELETION_COST) for worker in final), *soon]
