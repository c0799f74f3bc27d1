"""What is broken, what is expected then, and within which time: one table for `wpool chaos` and for `make chaos`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reach(StrEnum):
    """Who is hit, and so where it has to be allowed."""

    POOL = "pool"
    """The workers of one pool: allowed on the pool or on its namespace."""
    NAMESPACE = "namespace"
    """What pools of a namespace share: allowed on the namespace."""
    OPERATOR = "operator"
    """Every pool that the operator cares for: allowed on the operator's namespace."""
    NODE = "node"
    """Whatever runs on a node: allowed on the node."""


class Check(StrEnum):
    """What has to hold while something is broken."""

    WORK_GOES_ON = "jobs go on"
    """Some are done meanwhile."""
    WORK_STOPS = "jobs wait"
    """None is done, once those at work had time to end: else the fault did not strike."""
    WORKERS_UNTOUCHED = "no other worker is restarted"
    """No container but those that were struck is started again, and no pod replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way to break something."""

    name: str
    breaks: str
    """In one line."""
    expected: str
    """For people: what the product promises of it."""
    reach: Reach
    checks: tuple[Check, ...]
    seconds: float = 0.0
    """How long it stays broken by default; 0: it strikes once, and what was struck has to come back by itself."""
    recovers_within: float
    """Seconds until all is as before: from the end of the fault, or from the stroke where `heals_itself`."""
    heals_itself: bool = False
    """Whether it has to recover while what was struck is still away."""
    runbook: str = ""
    """Where to read on when it is otherwise: the name of a page in docs/runbooks."""


_ALONE: Final = (Check.WORK_GOES_ON, Check.WORKERS_UNTOUCHED)

_ALL: Final = (
    Scenario(
        name="worker-killed",
        breaks="SIGKILL to one busy worker",
        expected="other workers go on and have its jobs when their leases end; its container is started again",
        reach=Reach.POOL,
        checks=_ALONE,
        recovers_within=90,
        heals_itself=True,
        runbook="WorkerHeartbeatMissing",
    ),
    Scenario(
        name="workers-all-killed",
        breaks="SIGKILL to every worker of the pool",
        expected="all containers are started again, and the jobs of the dead return when their leases end",
        reach=Reach.POOL,
        checks=(Check.WORK_GOES_ON,),
        recovers_within=120,
        heals_itself=True,
        runbook="WorkersCrashLooping",
    ),
    Scenario(
        name="operator-killed",
        breaks="the operator's leader dies",
        expected="workers notice nothing; another operator leads once the dead one's Lease has run out",
        reach=Reach.OPERATOR,
        checks=_ALONE,
        recovers_within=60,
        heals_itself=True,
        runbook="OperatorDown",
    ),
    Scenario(
        name="collector-killed",
        breaks="every collector of the namespace dies",
        expected="workers go on; the size is held until another collector has read the queues",
        reach=Reach.NAMESPACE,
        checks=_ALONE,
        recovers_within=90,
        heals_itself=True,
        runbook="CollectorDown",
    ),
    Scenario(
        name="broker-killed",
        breaks="SIGKILL to the broker, which starts again with its data",
        expected="workers wait and are not restarted; they go on by themselves when it is back",
        reach=Reach.NAMESPACE,
        checks=(Check.WORKERS_UNTOUCHED,),
        recovers_within=120,
        heals_itself=True,
        runbook="ScalerBlind",
    ),
    Scenario(
        name="broker-partitioned",
        breaks="workers cannot reach their broker; packets are lost in silence",
        expected="jobs wait, no worker is restarted, and all goes on by itself afterwards",
        reach=Reach.POOL,
        checks=(Check.WORK_STOPS, Check.WORKERS_UNTOUCHED),
        seconds=30,
        recovers_within=60,
        runbook="ScalerBlind",
    ),
    Scenario(
        name="network-delay",
        breaks="each packet to and from the broker takes longer",
        expected="jobs go on, more slowly; no lease is lost by it",
        reach=Reach.NAMESPACE,
        checks=_ALONE,
        seconds=30,
        recovers_within=60,
        runbook="JobWaitP99High",
    ),
    Scenario(
        name="slow-downstream",
        breaks="what handlers call answers slowly",
        expected="jobs take longer and are done; no worker is restarted for it",
        reach=Reach.NAMESPACE,
        checks=_ALONE,
        seconds=30,
        recovers_within=60,
        runbook="PoolSaturated",
    ),
    Scenario(
        name="database-lock-held",
        breaks="somebody holds a lock on the table in PostgreSQL that the queue is in",
        expected="jobs wait for the lock, no worker is restarted, and all goes on when it is free",
        reach=Reach.NAMESPACE,
        checks=(Check.WORK_STOPS, Check.WORKERS_UNTOUCHED),
        seconds=30,
        recovers_within=60,
        runbook="QueueNotDraining",
    ),
    Scenario(
        name="disk-full",
        breaks="no space is left on a scratch volume of one worker",
        expected="its jobs fail and are retried, others go on; it is not restarted",
        reach=Reach.POOL,
        checks=_ALONE,
        seconds=30,
        recovers_within=90,
        runbook="JobFailureRatioHigh",
    ),
    Scenario(
        name="node-lost",
        breaks="a node of the pool's primary place is gone, with its workers",
        expected="as many workers run in the secondary place, and have the jobs of the lost ones",
        reach=Reach.NODE,
        checks=(Check.WORK_GOES_ON,),
        recovers_within=90,
        heals_itself=True,
        runbook="FailedOver",
    ),
    Scenario(
        name="api-server-partitioned",
        breaks="the operator cannot reach the API server; packets are lost in silence",
        expected="workers notice nothing; the operator goes on by itself afterwards",
        reach=Reach.OPERATOR,
        checks=_ALONE,
        seconds=30,
        recovers_within=60,
        runbook="ApiErrors",
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for one in _ALL}
