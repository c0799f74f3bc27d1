"""What a pool goes through that has a second place, under F1: it gets places, loses one of them, and has it again.

A place without room is one whose pods the played kubelet does not start; that is also what becomes of pods that were
preempted: they are deleted, and those that are made in their stead find no room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from e2e.faults.collector import Script
from e2e.faults.scenarios import NEIGHBOUR, QUEUE, SMALL, Scenario, Stage, pool_body
from workerpool_operator.domain.desired import place_key
from workerpool_operator.kube import ObjectRef, kinds

_HOME, _AWAY = {"zone": "a"}, {"zone": "b"}
_FAILBACK_SECONDS = 180.0
"""A place has to be well for a minute, also for the operator that begins anew; then they go five seconds apart."""


async def _create(stage: Stage) -> None:
    stage.collector.say(NEIGHBOUR, Script(queue=QUEUE))
    await stage.kube.create(pool_body(stage, NEIGHBOUR))


async def _name_places(stage: Stage) -> None:
    places = {"primary": {"nodeSelector": _HOME}, "secondary": {"nodeSelector": _AWAY}, "failoverTimeoutSeconds": 15}
    await stage.kube.merge_patch(stage.ref(NEIGHBOUR), {"spec": {"placement": places}})


async def _preempt(stage: Stage) -> None:
    stage.witness.crowd(stage.namespace, place_key(_HOME))
    for name in stage.witness.ready_workers(stage.namespace, NEIGHBOUR).values():
        await stage.kube.delete(ObjectRef(kinds.POD, stage.namespace, name))


async def _make_room(stage: Stage) -> None:
    stage.untouchable = set()
    stage.witness.make_room(stage.namespace, place_key(_HOME))


def _ready(**places: int) -> Callable[[Stage], bool]:
    """Whether so many workers are ready in each place, and none in another."""
    wanted = {place_key({"home": _HOME, "away": _AWAY}[name]): count for name, count in places.items()}
    return lambda stage: Counter(stage.witness.places(stage.namespace, NEIGHBOUR)) == wanted


PLACES = (
    Scenario(
        name="create-placed", act=_create, sizes={NEIGHBOUR: SMALL}, created=SMALL, deleted=0, peak=0, faults=False
    ),
    Scenario(
        name="place",
        act=_name_places,
        sizes={NEIGHBOUR: SMALL},
        created=SMALL,
        deleted=SMALL,
        peak=0,
        until=_ready(home=SMALL),
    ),
    Scenario(
        name="failover",
        act=_preempt,
        sizes={NEIGHBOUR: SMALL},
        created=2 * SMALL,
        deleted=SMALL,
        peak=0,
        until=_ready(away=SMALL),
    ),
    Scenario(
        name="failback",
        act=_make_room,
        sizes={NEIGHBOUR: SMALL},
        created=0,
        deleted=SMALL,
        peak=0,
        until=_ready(home=SMALL),
        seconds=_FAILBACK_SECONDS,
    ),
)
