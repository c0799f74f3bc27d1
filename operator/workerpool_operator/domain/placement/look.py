"""Where a pool's workers belong, and which of them are lost: from what is observed, for one plan."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from workerpool_operator.api import PLACE_ANNOTATION, Failback, PlacementSpec, PlaceSpec, WorkerPool
from workerpool_operator.domain import desired
from workerpool_operator.domain.placement import hold
from workerpool_operator.domain.placement.hold import Held, Sight
from workerpool_operator.domain.placement.silence import SUSPICIOUS_SECONDS, Sighting, silence
from workerpool_operator.domain.placement.word import told_home

PRIMARY: Final = "primary"
SECONDARY: Final = "secondary"
LOOK_SECONDS: Final = 15.0
"""A pool with a second place is looked at this often at least: that nothing is heard comes as no news."""


class Deployed(Protocol):
    """A Deployment, as far as it is looked at here."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The object."""

    @property
    def place(self) -> str:
        """Key of its place."""

    @property
    def replicas(self) -> int:
        """`spec.replicas`."""

    @property
    def ready(self) -> int:
        """Ready pods, as Kubernetes says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The places of a pool. The default is that of one that names none."""

    home: str = ""
    """Key of the place that workers belong to."""
    away: str | None = None
    """Key of the other one."""
    role: str = ""
    """What the pool calls home: primary or secondary; empty: it names no places."""
    selectors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Key -> labels of the nodes, of the places that the pool names."""
    held: Mapping[str, Held] = field(default_factory=dict)
    """By Deployment at home, to be remembered."""
    silent: frozenset[str] = frozenset()
    """Pods (uids) on lost nodes."""
    nodes: tuple[str, ...] = ()
    """These nodes."""
    returns: bool = True
    """Whether workers come home by themselves."""
    unreadable: bool = False
    """Whether the nodes' Leases may not be read."""
    look_again: float | None = None

    def lost(self, deployment: str) -> int:
        """How many of its workers do not count."""
        held = self.held.get(deployment)
        return held.lost if held else 0

    @property
    def other(self) -> str:
        """What the pool calls the place that is not home."""
        return PRIMARY if self.role == SECONDARY else SECONDARY

    @property
    def all_lost(self) -> int:
        """Over all versions."""
        return sum(held.lost for held in self.held.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is observed beside the Deployments."""

    sightings: tuple[Sighting, ...] = ()
    leases: Mapping[str, bool] | None = None
    """Node -> whether its Lease stands still; None: they may not be read."""
    listening: bool = False
    """Whether a collector of the namespace is connected."""


def may_fail_over(pool: WorkerPool) -> bool:
    """Whether its workers may go elsewhere: only then does it matter who is seen, and which nodes live."""
    return pool.spec.placement is not None and pool.spec.placement.secondary is not None


def look(
    pool: WorkerPool, deployments: Mapping[str, Deployed], seen: Seen, *, before: Mapping[str, Held] | None, now: float
) -> Places:
    """The places at this moment. `before`: what the last plan of this leader held; None for a new one."""
    spec = pool.spec.placement
    if spec is None:
        return Places()
    places, role = _named(pool, spec)
    home = desired.place_key(places[role].node_selector)
    selectors = {desired.place_key(place.node_selector): place.node_selector for place in places.values()}
    other = places.get(PRIMARY if role == SECONDARY else SECONDARY)
    away = desired.place_key(other.node_selector) if other else home
    if away == home:
        return Places(home=home, role=role, selectors=selectors)
    timeout = float(spec.failover_timeout_seconds)
    quiet = silence(seen.sightings, seen.leases or {}, timeout=timeout, listening=seen.listening)
    returns = spec.failback is Failback.AUTO or told_home(
        pool.metadata.annotations, home=role, lost_since=_lost_since(pool, role)
    )
    held = {}
    surplus = max(0, sum(one.replicas for one in deployments.values()) - _given(pool, deployments))
    for name, one in sorted(deployments.items()):
        if one.place != home:
            continue
        sight = Sight(replicas=one.replicas, ready=one.ready, lost=min(one.replicas, quiet.lost.get(name, 0)))
        if before is None:
            sibling = deployments.get(desired.deployment_name(desired.revision_of(name, home), away))
            known = hold.inherited(sight, elsewhere=sibling.replicas if sibling else 0, surplus=surplus)
            surplus -= known.lost
        else:
            known = before.get(name) or Held(replicas=one.replicas, lost=0)
        held[name] = hold.hold(known, sight, may_return=returns, now=now)
    moments = [hold.look_again(one, may_return=returns, now=now) for one in held.values()]
    moments += [quiet.look_again, _pause(seen.sightings)]
    return Places(
        home=home,
        away=away,
        role=role,
        selectors=selectors,
        held=held,
        silent=quiet.uids,
        nodes=quiet.nodes,
        returns=returns,
        unreadable=seen.leases is None,
        look_again=min(moment for moment in moments if moment is not None),
    )


def _named(pool: WorkerPool, spec: PlacementSpec) -> tuple[dict[str, PlaceSpec], str]:
    """The places by what the pool calls them, and which of them is home."""
    places = {PRIMARY: spec.primary} | ({SECONDARY: spec.secondary} if spec.secondary else {})
    wished = pool.metadata.annotations.get(PLACE_ANNOTATION, PRIMARY)
    return places, wished if wished in places else PRIMARY


def _lost_since(pool: WorkerPool, role: str) -> datetime | None:
    """Since when others run in the stead of workers of this place, as the status says; None: they do not."""
    status = pool.status.placement
    return status.since if status is not None and status.active != role else None


def _given(pool: WorkerPool, deployments: Mapping[str, Deployed]) -> int:
    """The size that the pool was last brought to; all that there is where that is not known."""
    scaling = pool.status.scaling
    return scaling.given if scaling else sum(one.replicas for one in deployments.values())


def _pause(sightings: Iterable[Sighting]) -> float:
    """Seconds until the next look, while nothing else happens: sooner where some are not heard."""
    quiet = any(seen.silent_seconds >= SUSPICIOUS_SECONDS / 2 for seen in sightings)
    return SUSPICIOUS_SECONDS / 2 if quiet else LOOK_SECONDS
