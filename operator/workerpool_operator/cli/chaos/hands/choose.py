"""Which hands play which scenario, and what they would hit: asked before anything is broken."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from workerpool_operator import api
from workerpool_operator.cli.chaos.hands import cut, delay, disk, kill, lock, node
from workerpool_operator.cli.chaos.hands.ground import Ground
from workerpool_operator.cli.chaos.play import Hands
from workerpool_operator.cli.chaos.table import SCENARIOS
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.kube import ObjectRef, kinds


async def hands_for(scenario: str, ground: Ground) -> Hands:
    """The hands of a scenario.

    Raises:
        TroubleError: something has to be named first.
    """
    return await _HANDS[scenario](ground)


async def blast_radius(scenario: str, ground: Ground) -> list[str]:
    """Who is hit, in lines for people: names, where they are known before.

    Raises:
        TroubleError: there is nobody to hit.
    """
    lines = [f"scenario {scenario}: {SCENARIOS[scenario].breaks}"]
    match scenario:
        case "worker-killed" | "disk-full":
            lines.append(f"hits one of the workers {kill.told(await ground.workers())}")
        case "workers-all-killed" | "broker-partitioned":
            lines.append(f"hits the workers {kill.told(await ground.workers())}")
        case "operator-killed" | "api-server-partitioned":
            lines.append(f"hits the operator, and so every pool: {kill.told(await ground.operators())}")
        case "collector-killed":
            lines.append(f"hits every pool of {ground.namespace}: {kill.told(await ground.collectors())}")
        case "broker-killed":
            lines.append(f"hits all who use the broker: {kill.told(await kill.brokers(ground))}")
        case "network-delay" | "slow-downstream":
            lines.append(f"hits all who use Service {await _service(scenario, ground)}")
            lines.append(f"kills each worker once, so that it connects anew: {kill.told(await ground.workers())}")
        case "database-lock-held":
            lines.append(f"hits all who use table {ground.options.table} of the pool's database")
        case "node-lost":
            lines.append(f"hits node {await node.chosen(ground)}: nothing new comes onto it, the pool's workers go")
    return lines


async def _service(scenario: str, ground: Ground) -> str:
    if ground.options.service:
        return ground.options.service
    if scenario == "slow-downstream":
        raise TroubleError("name the Service that handlers call by --service")
    pool = api.parse(await ground.kube.get(ObjectRef(kinds.WORKER_POOL, ground.namespace, ground.pool)))
    urls = [queue.broker.variables().get("URL", "") for queue in pool.spec.queues if queue.broker is not None]
    return delay.broker_service(urls, ground.namespace)


async def _worker(ground: Ground) -> Hands:
    return kill.KilledProcesses(ground, kill.busy_worker, what="worker", workers=True)


async def _workers(ground: Ground) -> Hands:
    return kill.KilledProcesses(ground, kill.all_workers, what="worker", workers=True)


async def _operator(ground: Ground) -> Hands:
    return kill.DeletedPods(ground, kill.leader, all_of=Ground.operators, what="leader of the operator", led=True)


async def _collector(ground: Ground) -> Hands:
    return kill.DeletedPods(ground, Ground.collectors, all_of=Ground.collectors, what="collector")


async def _broker(ground: Ground) -> Hands:
    return kill.KilledProcesses(ground, kill.brokers, what="pod of the broker", workers=False)


async def _partition(ground: Ground) -> Hands:
    return cut.CutWorkers(ground)


async def _delay(ground: Ground) -> Hands:
    return delay.DelayedService(ground, service=await _service("network-delay", ground))


async def _slow(ground: Ground) -> Hands:
    return delay.DelayedService(ground, service=await _service("slow-downstream", ground))


async def _lock(ground: Ground) -> Hands:
    return lock.HeldLock(ground)


async def _disk(ground: Ground) -> Hands:
    return disk.FilledDisk(ground)


async def _node(ground: Ground) -> Hands:
    return node.LostNode(ground)


async def _api(ground: Ground) -> Hands:
    return cut.CutOperator(ground)


_HANDS: Final[Mapping[str, Callable[[Ground], Awaitable[Hands]]]] = {
    "worker-killed": _worker,
    "workers-all-killed": _workers,
    "operator-killed": _operator,
    "collector-killed": _collector,
    "broker-killed": _broker,
    "broker-partitioned": _partition,
    "network-delay": _delay,
    "slow-downstream": _slow,
    "database-lock-held": _lock,
    "disk-full": _disk,
    "node-lost": _node,
    "api-server-partitioned": _api,
}
