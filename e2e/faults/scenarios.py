"""The changes that a pool goes through under F1, one after the other, and what must be true after each.

They follow each other in one namespace, so that each starts from what the one before has left, as in life.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.faults.collector import Script, ScriptedCollector
from e2e.faults.endstate import is_settled
from e2e.faults.witness import Witness
from workerpool_operator.cli.rollout.state import meant
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, Command, Verb, said
from workerpool_operator.kube import Kube, ObjectRef, kinds

Json = dict[str, Any]

POOL = "main"
NEIGHBOUR = "other"
QUEUE = "jobs"
SMALL, _LARGE = 2, 5
_SURGE = 1


@dataclass(kw_only=True)
class Stage:
    """Where a scenario plays: one namespace with its scripted collector."""

    kube: Kube
    namespace: str
    collector: ScriptedCollector
    witness: Witness
    untouchable: set[str] = field(default_factory=set)
    """Uids of workers that must live on."""

    def ref(self, pool: str) -> ObjectRef:
        """The pool in this namespace."""
        return ObjectRef(kinds.WORKER_POOL, self.namespace, pool)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One change, and what must be true when the operator has dealt with it."""

    name: str
    act: Callable[[Stage], Awaitable[None]]
    sizes: Mapping[str, int]
    """Pool -> its workers at the end. A pool that is not here is gone."""
    created: int
    """Workers that are made on the way: not one more."""
    deleted: int
    peak: int
    """The most workers that the Deployments of POOL ask for together, at any moment."""
    versions: int = 2
    """Workers of no more versions of a pool are asked for at one moment: of the one that serves, and of the one that
    takes over or is tried. Another one would be a second canary."""
    until: Callable[[Stage], bool] = lambda _: True
    """What else must be so before it is over, where all may look at rest before the operator has begun."""
    seconds: float = 60.0
    """It is over so soon. Kubernetes' garbage collector takes up to 30 s to learn of a new kind of owner."""
    faults: bool = True
    """Whether the operator is killed in it; else it only sets the stage."""
    trying: bool = False
    """It ends in the middle of a canary."""

    def settled(self, state: Sequence[str]) -> bool:
        """Whether this is how it ends."""
        return is_settled(state, self.sizes, trying=self.trying)


async def _create(stage: Stage) -> None:
    stage.collector.say(POOL, Script(queue=QUEUE))
    await stage.kube.create(pool_body(stage, POOL))


async def _scale_up(stage: Stage) -> None:
    stage.collector.say(POOL, Script(queue=QUEUE, waiting=_LARGE))


async def _scale_down(stage: Stage) -> None:
    busy = frozenset(sorted(stage.witness.ready_workers(stage.namespace, POOL))[:SMALL])
    stage.untouchable |= busy
    stage.collector.say(POOL, Script(queue=QUEUE, in_flight=len(busy), busy=busy))


async def _change_version(stage: Stage) -> None:
    stage.untouchable.clear()
    stage.collector.say(POOL, Script(queue=QUEUE))
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"worker": {"image": "worker:2"}}})


async def _try_version(stage: Stage) -> None:
    """A canary of which nothing can be said, and that is taken then: each of its steps is a decision that is kept."""
    trial = {"strategy": "Canary", "steps": [{"weight": 50}], "analysis": {"onInconclusive": "Promote"}}
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"worker": {"image": "worker:3"}, "rollout": trial}})


async def _hold_version(stage: Stage) -> None:
    """A canary that stays at its step until somebody says what is to become of it."""
    trial = {"steps": [{"weight": 50, "pause": True}], "analysis": {"onInconclusive": "Hold"}}
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"worker": {"image": "worker:4"}, "rollout": trial}})


async def _replace_canary(stage: Stage) -> None:
    """Another version comes while one is tried, which is given up: its worker serves until one of the new is ready."""
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"worker": {"image": "worker:5"}}})


async def _abort(stage: Stage) -> None:
    version = meant(await stage.kube.get(stage.ref(POOL)))
    command = said(Command(verb=Verb.ABORT, version=version, id="f1"))
    await stage.kube.merge_patch(stage.ref(POOL), {"metadata": {"annotations": {COMMAND_ANNOTATION: command}}})


async def _give_up(stage: Stage) -> None:
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"worker": {"image": "worker:3"}}})


async def _enter_hpa(stage: Stage) -> None:
    stage.collector.say(POOL, Script(queue=QUEUE, waiting=SMALL))
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"scaling": {"mode": "hpa", "minReplicas": 0}}})


async def _sleep(stage: Stage) -> None:
    stage.collector.say(POOL, Script(queue=QUEUE))


async def _write_zero(stage: Stage) -> None:
    """Somebody's slip: an HPA never does that."""
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"replicas": 0}})


async def _leave_hpa(stage: Stage) -> None:
    await stage.kube.merge_patch(stage.ref(POOL), {"spec": {"scaling": {"mode": "direct", "minReplicas": SMALL}}})
    stage.untouchable.clear()  # the deletion that is to come takes them


async def _add_neighbour(stage: Stage) -> None:
    stage.collector.say(NEIGHBOUR, Script(queue=QUEUE))
    await stage.kube.create(pool_body(stage, NEIGHBOUR))


async def _delete(stage: Stage) -> None:
    stage.untouchable |= set(stage.witness.ready_workers(stage.namespace, NEIGHBOUR))
    stage.collector.silence(POOL)
    await stage.kube.delete(stage.ref(POOL))


async def _get_stuck(stage: Stage) -> None:
    stuck, *others = sorted(stage.witness.ready_workers(stage.namespace, NEIGHBOUR))
    stage.untouchable = set(others)
    script = Script(queue=QUEUE, waiting=1, in_flight=len(others), stuck=frozenset({stuck}))
    stage.collector.say(NEIGHBOUR, script)


def _stuck_is_gone(stage: Stage) -> bool:
    ready = stage.witness.ready_workers(stage.namespace, NEIGHBOUR)
    return not stage.collector.scripts[NEIGHBOUR].stuck & ready.keys()


SCENARIOS = (
    Scenario(name="create", act=_create, sizes={POOL: SMALL}, created=SMALL, deleted=0, peak=SMALL),
    Scenario(name="scale-up", act=_scale_up, sizes={POOL: _LARGE}, created=_LARGE - SMALL, deleted=0, peak=_LARGE),
    Scenario(name="scale-down", act=_scale_down, sizes={POOL: SMALL}, created=0, deleted=_LARGE - SMALL, peak=_LARGE),
    Scenario(
        name="version-change",
        act=_change_version,
        sizes={POOL: SMALL},
        created=SMALL,
        deleted=SMALL,
        peak=SMALL + _SURGE,
    ),
    Scenario(
        name="canary",
        act=_try_version,
        sizes={POOL: SMALL},
        created=SMALL,
        deleted=SMALL,
        peak=SMALL + _SURGE,
    ),
    Scenario(
        name="canary-step",
        act=_hold_version,
        sizes={POOL: SMALL},
        created=1,
        deleted=1,
        peak=SMALL + _SURGE,
        trying=True,
    ),
    Scenario(
        name="canary-replaced",
        act=_replace_canary,
        sizes={POOL: SMALL},
        created=1,
        deleted=1,
        peak=SMALL + _SURGE,
        versions=3,
        trying=True,
        until=lambda stage: stage.witness.images(stage.namespace, POOL) == {"worker:3", "worker:5"},
    ),
    Scenario(name="rollback", act=_abort, sizes={POOL: SMALL}, created=1, deleted=1, peak=SMALL + _SURGE),
    Scenario(name="give-up", act=_give_up, sizes={POOL: SMALL}, created=0, deleted=0, peak=SMALL, faults=False),
    Scenario(name="enter-hpa", act=_enter_hpa, sizes={POOL: SMALL}, created=0, deleted=0, peak=SMALL),
    Scenario(name="hpa-up", act=_scale_up, sizes={POOL: _LARGE}, created=_LARGE - SMALL, deleted=0, peak=_LARGE),
    Scenario(name="hpa-zero", act=_sleep, sizes={POOL: 0}, created=0, deleted=_LARGE, peak=_LARGE),
    Scenario(name="hpa-wake", act=_scale_up, sizes={POOL: _LARGE}, created=_LARGE, deleted=0, peak=_LARGE),
    Scenario(name="hpa-down", act=_scale_down, sizes={POOL: SMALL}, created=0, deleted=_LARGE - SMALL, peak=_LARGE),
    Scenario(name="hpa-slip", act=_write_zero, sizes={POOL: SMALL}, created=0, deleted=0, peak=SMALL),
    Scenario(name="leave-hpa", act=_leave_hpa, sizes={POOL: SMALL}, created=0, deleted=0, peak=SMALL),
    Scenario(
        name="add-neighbour",
        act=_add_neighbour,
        sizes={POOL: SMALL, NEIGHBOUR: SMALL},
        created=SMALL,
        deleted=0,
        peak=SMALL,
        faults=False,
    ),
    Scenario(
        name="delete",
        act=_delete,
        sizes={NEIGHBOUR: SMALL},
        created=0,
        deleted=SMALL,
        peak=SMALL,
    ),
    # The last, because it takes longest: the operator waits for evidence, and each new one waits again.
    Scenario(
        name="restart-stuck",
        act=_get_stuck,
        sizes={NEIGHBOUR: SMALL},
        created=1,
        deleted=1,
        peak=0,
        until=_stuck_is_gone,
    ),
)


def pool_body(stage: Stage, name: str) -> Json:
    """A pool that decides at once: no waiting window, one job for each worker."""
    return body_in(stage.namespace, name)


def body_in(namespace: str, name: str) -> Json:
    """The same, for a namespace without a scripted collector."""
    return {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "worker": {"image": "worker:1", "maxWorkers": 1, "heartbeatPeriodSeconds": 1, "stuckAfterSeconds": 2},
            "queues": [{"name": QUEUE, "redisStream": {"url": "redis://redis:6379/0", "stream": name, "group": name}}],
            "scaling": {
                "mode": "direct",
                "minReplicas": SMALL,
                "maxReplicas": _LARGE,
                "targets": {"queueDepthPerReplica": 1},
                "cooldownSeconds": 0,
                "scaleDown": {"stabilizationSeconds": 0},
            },
            "rollout": {"strategy": "Rolling"},
        },
    }
