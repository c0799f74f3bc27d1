"""The size of a pool whose `spec.replicas` an HPA writes, its own or KEDA's: when to believe it, and when to write it.

`decide` says how many workers are wanted. An HPA that reads this very number writes it into `spec.replicas`, one of its
periods later at most, and the pool is brought to that. But others write there too: a PUT without the field makes it 1,
a manifest that is applied again makes it whatever it once was, a provider of nonsense anything. None of that may cost a
running worker, so the field is followed between the size that the pool has and the one that is wanted, and never beyond
them, however long it stands: an HPA that cannot put it right leaves the size as it is. A person who wants another one
changes the mode.

0 is the operator's alone: it takes the pool there, and from there straight to the wanted number. An HPA does neither:
at 0 it rests.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Self

PERIOD_SECONDS: Final = 15
"""How often an HPA looks, unless the cluster's controller manager was told otherwise."""
STANDING_SECONDS: Final = 3.0 * PERIOD_SECONDS
TOLERANCE: Final = 0.1
"""Share of the size by which the metric may be off before an HPA acts, where `behavior.*.tolerance` is not served."""
_AT_REST: Final = "ScalingDisabled"
"""The HPA's word for a target of size 0."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A value, and since when it has been the same (monotonic seconds)."""

    value: int
    since: float

    def then(self, value: int, *, now: float) -> "Standing":
        """After one more look."""
        return self if value == self.value else Standing(value, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaMemory:
    """Remembered between two looks; a new leader starts without."""

    began: float
    asked: Standing
    """`spec.replicas`."""
    side: Standing
    """Whether more (1) or fewer (-1) than that are wanted; 0 where they agree or nothing is known."""
    beyond: Standing
    """Whether (1) `spec.replicas` lies neither at, nor between, what is there and what is wanted."""
    trouble: Standing
    """Whether (1) the HPA says that it cannot do its work."""

    @classmethod
    def new(cls, *, now: float) -> Self:
        """Of a leader that looks for the first time."""
        nothing = Standing(0, now)
        return cls(began=now, asked=nothing, side=nothing, beyond=nothing, trouble=nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaState:
    """What an HPA says of itself, or KEDA of a ScaledObject and the HPA that it made for it."""

    trouble: str = ""
    """Why it cannot do its work, in its words; empty when it can."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read an HPA as the API server gives it."""
        return cls._first(body, {("AbleToScale", "False"), ("ScalingActive", "False")})

    @classmethod
    def of_scaled_object(cls, body: Mapping[str, Any]) -> Self:
        """Read a ScaledObject as the API server gives it. `HPAActive` is there from KEDA 2.21 on.

        `Active` says nothing: it is about 0, where KEDA has no say.
        """
        return cls._first(body, {("Ready", "False"), ("HPAActive", "False"), ("Paused", "True")})

    @classmethod
    def _first(cls, body: Mapping[str, Any], troubles: AbstractSet[tuple[str, str]]) -> Self:
        found = (
            f"{one.get('reason', '')}: {one.get('message', '')}"
            for one in body.get("status", {}).get("conditions", ())
            if (one["type"], one["status"]) in troubles and one.get("reason") != _AT_REST
        )
        return cls(trouble=next(found, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaInputs:
    """All that the size follows from."""

    wanted: int
    """What `decide` says."""
    known: bool
    """Whether it says so on fresh readings of all queues."""
    current: int
    """The size that the pool has been given."""
    replicas: int
    """`spec.replicas`."""
    entering: bool
    """Whether the mode has just become this one: what stood in the field until now meant nothing."""
    min_replicas: int
    max_replicas: int
    exact: bool
    """Whether the HPA follows each change; else small ones are its good right to ignore."""
    hpa: HpaState
    memory: HpaMemory
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A size, and how the HPA does."""

    size: int
    write: int | None
    """What to write into `spec.replicas`, if anything."""
    memory: HpaMemory
    unable: bool
    """Whether the HPA has said for long that it cannot do its work."""
    disagrees: bool
    """Whether `spec.replicas` has been kept away from what is wanted for long."""
    apart: bool
    """Whether it is away at this moment."""
    young: bool
    """Whether nothing can have been seen for long yet."""
    look_again: float | None


def follow(inputs: HpaInputs) -> Followed:
    """The size to bring the pool to, and what `spec.replicas` has to say."""
    replicas = _replicas(inputs)
    low, high = sorted((inputs.current, inputs.wanted))
    inside = min(max(replicas, low), high)
    memory = _remember(inputs, replicas=replicas, beyond=inside != replicas)
    apart, beyond = bool(memory.side.value), bool(memory.beyond.value)
    return Followed(
        size=min(max(inside, inputs.min_replicas), inputs.max_replicas),
        write=replicas if replicas != inputs.replicas else None,
        memory=memory,
        unable=bool(memory.trouble.value) and _stood(inputs, memory.trouble),
        disagrees=(apart and _stood(inputs, memory.asked, memory.side)) or (beyond and _stood(inputs, memory.beyond)),
        apart=apart,
        young=inputs.now - memory.began < STANDING_SECONDS,
        look_again=_look_again(inputs, memory),
    )


def _replicas(inputs: HpaInputs) -> int:
    """What `spec.replicas` has to be: what it is, unless the operator has the say."""
    replicas = inputs.current if inputs.entering else inputs.replicas
    if inputs.wanted == 0:
        return 0 if inputs.known else replicas
    wakes = inputs.current == 0 and replicas < inputs.wanted
    return inputs.wanted if replicas == 0 or wakes else replicas


def _remember(inputs: HpaInputs, *, replicas: int, beyond: bool) -> HpaMemory:
    """What is not known cannot be contradicted: while a queue is unread, all begins anew but the HPA's own trouble."""
    memory, now = inputs.memory, inputs.now
    trouble = memory.trouble.then(int(bool(inputs.hpa.trouble)), now=now)
    if not inputs.known:
        return HpaMemory(
            began=memory.began,
            asked=Standing(replicas, now),
            side=Standing(0, now),
            beyond=Standing(0, now),
            trouble=trouble,
        )
    side = _side(inputs, replicas=replicas)
    return HpaMemory(
        began=memory.began,
        asked=memory.asked.then(replicas, now=now),
        side=memory.side.then(side, now=now),
        beyond=memory.beyond.then(int(beyond and side != 0), now=now),
        trouble=trouble,
    )


def _side(inputs: HpaInputs, *, replicas: int) -> int:
    missing = inputs.wanted - replicas
    if not inputs.exact and abs(missing) <= TOLERANCE * replicas:
        return 0
    return (missing > 0) - (missing < 0)


def _stood(inputs: HpaInputs, *values: Standing) -> bool:
    """Whether none of these has changed for three periods."""
    return inputs.now - max(value.since for value in values) >= STANDING_SECONDS


def _look_again(inputs: HpaInputs, memory: HpaMemory) -> float | None:
    """When time alone may change the answer, in seconds from now."""
    moments: list[float] = []
    if memory.side.value:
        moments.append(max(memory.asked.since, memory.side.since))
    if memory.beyond.value:
        moments.append(memory.beyond.since)
    if memory.trouble.value:
        moments.append(memory.trouble.since)
    ahead = [left for moment in moments if (left := moment + STANDING_SECONDS - inputs.now) > 0]
    return min(ahead, default=None)
