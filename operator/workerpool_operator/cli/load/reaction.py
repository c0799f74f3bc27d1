"""How fast a pool answers: when its wanted size grew, and when its pods became Ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Step(NamedTuple):
    """From the monotonic time `at` on, the figure was `value`."""

    at: float
    value: int


@dataclass(slots=True)
class Series:
    """A figure over time: only its changes are kept."""

    steps: list[Step] = field(default_factory=list)

    def put(self, at: float, value: int) -> None:
        """The figure is `value` now."""
        if not self.steps or self.steps[-1].value != value:
            self.steps.append(Step(at, value))

    @property
    def now(self) -> int:
        """The last value; 0 before the first."""
        return self.steps[-1].value if self.steps else 0

    @property
    def largest(self) -> int:
        """The largest value ever."""
        return max((step.value for step in self.steps), default=0)

    def value_at(self, at: float) -> int:
        """The value at a moment; 0 before the first."""
        value = 0
        for step in self.steps:
            if step.at > at:
                break
            value = step.value
        return value

    def first_at_least(self, value: int, *, since: float) -> float | None:
        """When, from `since` on, the figure was first at least `value`; None if it never was."""
        if self.value_at(since) >= value:
            return since
        return next((step.at for step in self.steps if step.at > since and step.value >= value), None)


@dataclass(slots=True)
class PoolHistory:
    """The sizes of a pool over time, by this machine's monotonic clock."""

    desired: Series = field(default_factory=Series)
    ready: Series = field(default_factory=Series)
    nodes: dict[str, int] = field(default_factory=dict)
    """Ready pods by node, now."""
    most_nodes: int = 0
    """The largest number of nodes that had Ready pods at the same time."""

    def see_pool(self, pool: Mapping[str, Any] | None, *, at: float) -> None:
        """Take in the pool as it is now."""
        scaling = ((pool or {}).get("status") or {}).get("scaling") or {}
        self.desired.put(at, int(scaling.get("desired", 0)))

    def see_pods(self, pods: Sequence[Mapping[str, Any]], *, at: float) -> None:
        """Take in the pool's pods as they are now."""
        self.nodes = {}
        ready = [pod for pod in pods if is_ready(pod)]
        for pod in ready:
            node = pod["spec"].get("nodeName", "")
            self.nodes[node] = self.nodes.get(node, 0) + 1
        self.most_nodes = max(self.most_nodes, len(self.nodes))
        self.ready.put(at, len(ready))

    def decisions(self, moments: Sequence[float]) -> list[float]:
        """For each moment at which work came: seconds until more workers were wanted than at that moment.

        A moment has no answer where the pool did not grow before the next one, as when it is large enough already.
        """
        found: list[float] = []
        for moment, following in zip(moments, [*moments[1:], float("inf")], strict=True):
            larger = self.desired.first_at_least(self.desired.value_at(moment) + 1, since=moment)
            if larger is not None and larger < following:
                found.append(larger - moment)
        return found

    def until_ready(self, *, since: float) -> tuple[float, ...]:
        """Seconds from `since` until 1, 2, 3... pods were Ready, as far as it went; 0 for those that were before."""
        reached: list[float] = []
        while (at := self.ready.first_at_least(len(reached) + 1, since=since)) is not None:
            reached.append(at - since)
        return tuple(reached)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is Ready and not stopping."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
