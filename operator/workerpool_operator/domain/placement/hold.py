"""How many of a Deployment's workers count as lost, over time: at once more, and only slowly fewer.

What is lost is made up for in the other place, so this number is what moves workers between places. It rises with what
is seen. It falls when the place has had more ready workers than are counted on for `CALM_SECONDS` without a break, and
then by a few at a time: so a node that comes and goes moves nobody to and fro, and neither does the gap between the
eviction of a pod and the moment that no room is found for the next.

All but the times is in the cluster: what the other place runs beyond the pool's size is what the leader before counted
as lost. A new one takes it from there, and waits as long as anybody before it comes to another opinion.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

CALM_SECONDS: Final = 60.0
STEP_SECONDS: Final = 5.0
"""Between two steps of failback."""
STEP_SHARE: Final = 0.1
"""Of the Deployment's workers in one step; one at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Of one Deployment at one look."""

    replicas: int
    """Its size then."""
    lost: int
    """Of these."""
    calm_since: float | None = None
    """Since when more are ready than are counted on."""
    stepped_at: float | None = None
    """When the last of them were counted on again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One Deployment as it is seen now."""

    replicas: int
    ready: int
    """As Kubernetes says, which takes a while to see that a node is lost."""
    lost: int
    """By what is seen at this moment."""


def inherited(sight: Sight, *, elsewhere: int, surplus: int) -> Held:
    """At the first look of a leader.

    `elsewhere`: workers of the same revision in the other place; `surplus`: workers beyond the pool's size.
    """
    inferred = max(0, min(sight.replicas, elsewhere, surplus))
    return Held(replicas=sight.replicas, lost=inferred)


def hold(before: Held, sight: Sight, *, may_return: bool, now: float) -> Held:
    """After one more look. `may_return`: whether workers come back to this place by themselves."""
    # Those that are not wanted any more are taken from the lost first: they have no job.
    lowered = max(0, before.replicas - sight.replicas)
    lost = min(sight.replicas, max(sight.lost, before.lost - lowered))
    back = min(sight.ready, sight.replicas - sight.lost) - (sight.replicas - lost)
    calm_since = (before.calm_since if before.calm_since is not None else now) if lost and back > 0 else None
    held = Held(replicas=sight.replicas, lost=lost, calm_since=calm_since, stepped_at=before.stepped_at)
    calm = calm_since is not None and now - calm_since >= CALM_SECONDS
    paced = before.stepped_at is None or now - before.stepped_at >= STEP_SECONDS
    if not (calm and paced and may_return):
        return held
    step = min(back, max(1, ceil(sight.replicas * STEP_SHARE)))
    return Held(replicas=sight.replicas, lost=lost - step, calm_since=calm_since, stepped_at=now)


def look_again(held: Held, *, may_return: bool, now: float) -> float | None:
    """Seconds until time alone may change it."""
    if held.calm_since is None or not may_return:
        return None
    due = held.calm_since + CALM_SECONDS
    if held.stepped_at is not None:
        due = max(due, held.stepped_at + STEP_SECONDS)
    return max(0.0, due - now)
