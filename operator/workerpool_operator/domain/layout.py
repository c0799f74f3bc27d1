"""The pool's Deployments by revision, over all places: what versions see of them, and how their decision is spread."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from workerpool_operator.domain import desired
from workerpool_operator.domain.placement import Layout, Places, distribute, merged
from workerpool_operator.domain.rollout.counts import Counts, Slot
from workerpool_operator.domain.snapshot import VERSION_LABEL, Child, Snapshot

_NOTHING: Final = Slot(name="", replicas=0, ready=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The workers of one revision in all places, without those that count as lost."""

    name: str
    """The revision's."""
    children: Mapping[str, Child]
    """Its Deployments."""
    lost: int

    @property
    def child(self) -> Child:
        """Any of its Deployments: what is of the revision is the same in all."""
        return next(iter(self.children.values()))

    @property
    def version(self) -> str:
        """Version hash."""
        return self.child.labels.get(VERSION_LABEL, "")

    @property
    def replicas(self) -> int:
        """Asked for."""
        return sum(child.replicas for child in self.children.values()) - self.lost

    @property
    def existing(self) -> int:
        """Pods that are there and not being deleted."""
        return max(0, sum(child.existing for child in self.children.values()) - self.lost)

    @property
    def ready(self) -> int:
        """Ready pods. Kubernetes calls those of a lost node ready for a while, so no more than are counted on."""
        total = sum(child.ready for child in self.children.values())
        return max(0, min(total, self.replicas)) if self.lost else total


def groups(snapshot: Snapshot) -> dict[str, Group]:
    """By revision, in order of name."""
    found: defaultdict[str, dict[str, Child]] = defaultdict(dict)
    for name, child in sorted(snapshot.deployments.items()):
        found[desired.revision_of(name, child.place)][name] = child
    places = snapshot.places
    return {
        name: Group(name=name, children=children, lost=sum(places.lost(one) for one in children))
        for name, children in sorted(found.items())
    }


def home_of(places: Places, revision: str) -> str:
    """Name of the Deployment that this revision's workers belong to."""
    return desired.deployment_name(revision, places.home)


def counted(snapshot: Snapshot) -> dict[str, int]:
    """Deployment -> its size without those that count as lost."""
    return {name: child.replicas - snapshot.places.lost(name) for name, child in snapshot.deployments.items()}


def slots(snapshot: Snapshot) -> dict[str, Slot]:
    """Revision -> its workers, as what moves counts between versions sees them."""
    return {
        name: Slot(name=name, replicas=layout.all.replicas, ready=layout.all.ready)
        for name, layout in _layouts(snapshot).items()
    }


def moving(snapshot: Snapshot) -> bool:
    """Whether workers are, or are about to be, in more than one place for another reason than that some are lost."""
    return any(layout.moving and not layout.lost for layout in _layouts(snapshot).values())


def spread(snapshot: Snapshot, counts: Counts, *, total: int) -> Counts:
    """The counts by Deployment, of what was decided by revision; `total`: the pool's workers."""
    places, layouts = snapshot.places, _layouts(snapshot)
    if not places.role and all(layout.home.name == name and not layout.others for name, layout in layouts.items()):
        return counts  # nobody named a place, and nobody did before
    for name in counts.raise_to.keys() - layouts.keys():
        layouts[name] = _layout(places, name, {})
    asked = sum(layout.all.replicas for layout in layouts.values())
    quiet = not counts.raise_to and asked <= total
    return merged(
        distribute(layout, total=_wanted(layout, name, counts), may_surge=quiet) for name, layout in layouts.items()
    )


def _wanted(layout: Layout, name: str, counts: Counts) -> int:
    """Workers of this revision after the step."""
    there = layout.all.replicas
    return counts.raise_to.get(name, there - counts.remove.get(name, 0))


def _layouts(snapshot: Snapshot) -> dict[str, Layout]:
    return {name: _layout(snapshot.places, name, group.children) for name, group in groups(snapshot).items()}


def _layout(places: Places, revision: str, children: Mapping[str, Child]) -> Layout:
    there = {
        name: Slot(name=name, replicas=child.replicas, ready=child.ready) for name, child in sorted(children.items())
    }
    home, away = home_of(places, revision), ""
    own = there.pop(home, replace(_NOTHING, name=home))
    other = None
    if places.away is not None:
        away = desired.deployment_name(revision, places.away)
        other = there.pop(away, replace(_NOTHING, name=away))
    return Layout(home=own, away=other, others=tuple(there.values()), lost=places.lost(home))
