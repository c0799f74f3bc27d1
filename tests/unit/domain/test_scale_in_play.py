"""Random play of scale-in against a toy of everything around it: no job is interrupted, and it comes to an end."""

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.domain.test_scale_in import pod, report, workers
from workerpool_operator.domain.scaling import Ebb, ScaleInMemory, Sizing, step
from workerpool_operator.domain.scaling.workers import Worker


@dataclass
class Cluster:
    """A toy of everything around scale-in: workers take jobs unless fenced, a ReplicaSet controller deletes."""

    rng: random.Random
    replicas: int
    pods: dict[str, int] = field(default_factory=dict)
    ready: dict[str, bool] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    fences: dict[str, str] = field(default_factory=dict)
    interrupted: int = 0

    def see(self) -> list[Worker]:
        return workers(
            *(
                (
                    pod(name, ready=self.ready[name], cost=self.costs[name]),
                    report(name, busy, fence=self.fences[name]),
                )
                for name, busy in self.pods.items()
            )
        )

    def live(self) -> None:
        """A moment passes: jobs begin and end, probes flap."""
        for name in self.pods:
            change = self.rng.choice([-1, -1, 0, 1])
            if change > 0 and self.fences[name]:
                change = 0
            self.pods[name] = max(0, self.pods[name] + change)
            self.ready[name] = self.rng.random() > 0.1

    def shed(self) -> None:
        """The ReplicaSet controller, in its own order, random among equals."""
        while len(self.pods) > self.replicas:
            names = sorted(self.pods, key=lambda n: (self.ready[n], self.costs[n], self.rng.random()))
            self.interrupted += self.pods.pop(names[0])


@settings(max_examples=150)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 8), wanted=st.integers(0, 8), ebbs=st.booleans())
def test_no_job_is_ever_interrupted_while_jobs_come_and_go(*, seed: int, size: int, wanted: int, ebbs: bool) -> None:
    """Random play; probes may flap only between looks, as the operator acts on what it has just listed.

    Where it `ebbs`, it is expected again and again, rightly or not, that more or all of them will go soon.
    """
    rng = random.Random(seed)
    names = [f"p{i}" for i in range(size)]
    cluster = Cluster(
        rng,
        replicas=size,
        pods={n: rng.randint(0, 3) for n in names},
        ready=dict.fromkeys(names, True),
        costs=dict.fromkeys(names, 0),
        fences=dict.fromkeys(names, ""),
    )
    memory, now = ScaleInMemory(epoch=1), 0.0
    for _ in range(200):
        cluster.live()
        remove = max(0, cluster.replicas - wanted)
        found = cluster.see()
        count = rng.randint(0, cluster.replicas - remove) if ebbs and rng.random() < 0.7 else 0
        ebb = Ebb(count=count, whole=rng.random() < 0.2)
        size_now = Sizing(deployment="web", replicas=cluster.replicas, remove=remove, ebb=ebb)
        todo = step(sizes=[size_now], workers=found, memory=memory, now=now)
        memory = todo.memory
        for name in cluster.pods:
            cluster.fences[name] = memory.fence_id if name in todo.fence else ""
        for worker, cost in todo.mark:
            cluster.costs[worker.pod.name] = cost
        for worker in todo.unmark:
            cluster.costs[worker.pod.name] = 0
        cluster.replicas -= todo.lower.get("web", 0)
        cluster.shed()
        now += rng.choice([0.1, 0.6, 1.5])
    assert cluster.interrupted == 0
    assert cluster.replicas == min(size, wanted) or any(cluster.pods.values())
