"""Which workers are lost: what is seen of pods, streams and nodes' Leases, all of it with ages and no clock.

A node is silent when nothing has been heard of any of the pool's workers on it for the pool's timeout, while somebody
listens, and its kubelet does not renew its Lease either. Neither alone is enough: workers may hang or be cut off on a
node that lives, and a kubelet may die beside workers that go on. A pod that no node has had room for, for as long, is
lost as well; that is also what becomes of those that were preempted, or evicted from a silent node. A pod that starts
and fails is not: it would fail in another place too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

SUSPICIOUS_SECONDS: Final = 10.0
"""A worker of which nothing has been heard for so long makes its node's Lease worth a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is known of one pod of the pool."""

    uid: str
    deployment: str
    node: str = ""
    """Empty: it has none yet."""
    silent_seconds: float = 0.0
    """Since its worker was last heard; of one that never was, since its pod was first seen. 0: it is heard."""
    terminating: bool = False
    """Whether its pod is being deleted: its Deployment does not count it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Who is lost at this moment."""

    nodes: tuple[str, ...] = ()
    uids: frozenset[str] = frozenset()
    """Pods on these nodes, those that are being deleted included."""
    lost: Mapping[str, int] = field(default_factory=dict)
    """Deployment -> pods that it counts, and that are on these nodes or without one."""
    look_again: float | None = None
    """Seconds until time alone may change this."""


def suspects(sightings: Iterable[Sighting]) -> frozenset[str]:
    """Nodes whose Lease is worth a look."""
    return frozenset(seen.node for seen in sightings if seen.node and seen.silent_seconds >= SUSPICIOUS_SECONDS)


def silence(sightings: Iterable[Sighting], leases: Mapping[str, bool], *, timeout: float, listening: bool) -> Silence:
    """Who is lost. `leases`: node -> whether its Lease stands still; one that is not in it is not known to.

    `listening`: whether a collector of the namespace is connected; else silence says nothing.
    """
    if not listening:
        return Silence()
    on_node: defaultdict[str, list[Sighting]] = defaultdict(list)
    for seen in sightings:
        on_node[seen.node].append(seen)
    homeless = [seen for seen in on_node.pop("", ()) if not seen.terminating]
    dead = {
        node: there
        for node, there in on_node.items()
        if leases.get(node, False) and all(seen.silent_seconds >= timeout for seen in there)
    }
    gone = [seen for there in dead.values() for seen in there]
    lost = [seen for seen in gone if not seen.terminating]
    lost += [seen for seen in homeless if seen.silent_seconds >= timeout]
    waits = [max(seen.silent_seconds for seen in there) for node, there in on_node.items() if node not in dead]
    waits += [seen.silent_seconds for seen in homeless]
    ahead = [timeout - waited for waited in waits if SUSPICIOUS_SECONDS / 2 <= waited < timeout]
    return Silence(
        nodes=tuple(sorted(dead)),
        uids=frozenset(seen.uid for seen in gone),
        lost=Counter(seen.deployment for seen in lost),
        look_again=min(ahead, default=None),
    )
