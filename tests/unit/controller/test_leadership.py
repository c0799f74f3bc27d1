"""Whether a replica acts: only one that has the Lease and has learned what there is. In virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.unit.kube.lease_store import LeaseStore, Link
from workerpool_operator.controller.leadership import Leadership
from workerpool_operator.kube import LeaderElector, errors
from workerpool_operator.metrics import OperatorMetrics

pytestmark = pytest.mark.looptime


@dataclass
class Cluster:
    """What there is to learn, and whether it is told."""

    answers: bool = False
    asked: int = 0
    began: list[int] = field(default_factory=list)

    async def learn(self) -> None:
        self.asked += 1
        if not self.answers:
            raise errors.Forbidden("pods is forbidden")


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110  time is virtual
            await asyncio.sleep(0.02)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_that_has_the_lease_and_cannot_learn_does_not_say_that_it_leads() -> None:
    """Else nobody would be told that nothing is done."""
    elector = LeaderElector(
        Link(LeaseStore()),
        namespace="workerpool-system",
        name="workerpool-operator",
        identity="one",
        clock=asyncio.get_running_loop().time,
    )
    cluster, metrics = Cluster(), OperatorMetrics()
    made = Leadership(
        elector, learn=cluster.learn, began=cluster.began.append, ended=lambda: None, acts=metrics.leading
    )

    def says() -> float | None:
        return metrics.registry.get_sample_value("workerpool_operator_leader")

    lease, work = asyncio.create_task(elector.run()), asyncio.create_task(made.run())
    await until(lambda: cluster.asked > 1)
    assert (elector.leading, says(), cluster.began) == (True, 0, [])
    cluster.answers = True
    await until(lambda: bool(cluster.began))
    assert says() == 1
    await end(lease)
    assert says() == 0
    await end(work)
