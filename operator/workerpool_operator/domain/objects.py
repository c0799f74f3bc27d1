"""Which owned objects differ from what they should be: what is applied and what is taken down. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import ScalingMode
from workerpool_operator.domain import desired
from workerpool_operator.domain.drift import covers
from workerpool_operator.domain.layout import groups, home_of
from workerpool_operator.domain.monitoring import says_the_same, wanted_rule
from workerpool_operator.domain.snapshot import VERSION_LABEL, Child, Snapshot
from workerpool_operator.domain.versions import Versions

_ONLY_NEW: Final = frozenset(
    {"Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ScaledObject", "ConfigMap"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Server-side apply of a whole owned object.

    With `resource_version`, only onto that very state; with `only_new`, only where no object of that name is: one that
    lost its label or its owner is not seen, and a size applied to it would take workers that nobody fenced. Nor is one
    that a person made for something else.
    """

    body: Mapping[str, Any]
    resource_version: str | None = None
    only_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Deletion of exactly this object: in exactly this state, where one is given."""

    kind: str
    name: str
    uid: str
    resource_version: str = ""


def applies(
    snapshot: Snapshot,
    *,
    target: desired.Revision,
    holding: Sequence[str],
    sizes: Mapping[str, int],
    answer: int | None = None,
) -> tuple[Apply, ...]:
    """Revisions before the Deployments that are made of them; then what surrounds them.

    `answer`: the size that is wanted, None while it is not known; KEDA is told.
    """
    wanted: list[Apply] = []
    if target.name in holding and target.name not in snapshot.revisions:
        wanted.append(Apply(body=_record(snapshot, target).body))
    for name in dict.fromkeys([*(home_of(snapshot.places, revision) for revision in holding), *sizes]):
        template = _template(snapshot, name, target=target)
        body = desired.deployment(snapshot.pool, name=name, template=template, replicas=sizes.get(name, 0))
        wanted += _if_different(body, snapshot.deployments.get(name))
    wanted += _if_different(desired.disruption_budget(snapshot.pool), snapshot.budget)
    if snapshot.mode is ScalingMode.HPA:
        granted = snapshot.seats.granted if snapshot.seats else None
        autoscaler = desired.autoscaler(snapshot.pool, exact=snapshot.facts.exact_hpa, granted=granted)
        wanted += _if_different(autoscaler, snapshot.autoscaler)
    if snapshot.mode is ScalingMode.KEDA:
        wanted += _keda(snapshot, answer=answer)
    wanted += _rule(snapshot)
    return tuple(wanted)


def _keda(snapshot: Snapshot, *, answer: int | None) -> list[Apply]:
    """What KEDA reads before what makes it read. It refuses to scale what an HPA of another's still does."""
    if snapshot.keda.absence is not None:
        return []
    wanted = _if_different(desired.answer(snapshot.pool, answer), snapshot.keda.answer)
    if snapshot.autoscaler is None:
        scaled = desired.scaled_object(snapshot.pool, exact=snapshot.facts.exact_hpa)
        wanted += _if_different(scaled, snapshot.keda.scaled_object)
    return wanted


def _rule(snapshot: Snapshot) -> list[Apply]:
    """Last, because the pool works without. One that is missing is made only where nobody's is of that name."""
    rule, wanted = snapshot.monitoring.rule, wanted_rule(snapshot)
    if wanted is None or (rule is not None and says_the_same(rule, wanted)):
        return []
    return [Apply(body=wanted, only_new=rule is None)]


def _record(snapshot: Snapshot, target: desired.Revision) -> desired.Revision:
    """What is stored of the wanted revision. One that somebody deleted is taken from what was made of it and runs."""
    places = snapshot.places
    for key in dict.fromkeys([places.home, *places.selectors]):
        running = snapshot.deployments.get(desired.deployment_name(target.name, key))
        if running is not None:
            template = desired.unplaced(running.body["spec"]["template"], places.selectors.get(key, {}))
            return target.holding(template)
    return target


def _template(snapshot: Snapshot, name: str, *, target: desired.Revision) -> Mapping[str, Any]:
    """What was stored when this version was first seen: a newer renderer changes no running worker.

    A revision that somebody deleted is taken from the Deployment that was made of it, and so is what belongs to a place
    that the pool no longer names.
    """
    observed, selectors = snapshot.deployments.get(name), {"": {}, **snapshot.places.selectors}
    for key, selector in selectors.items():
        stored = snapshot.revisions.get(desired.revision_of(name, key))
        if stored is not None and desired.deployment_name(stored.body["metadata"]["name"], key) == name:
            return desired.placed(desired.stored_template(stored.body), selector)
    if observed is not None:
        template: Mapping[str, Any] = observed.body["spec"]["template"]
        return template
    key = next((key for key in selectors if desired.deployment_name(target.name, key) == name), "")
    return desired.placed(desired.stored_template(target.body), selectors[key])


def _if_different(body: Mapping[str, Any], observed: Child | None) -> list[Apply]:
    if observed is None:
        return [Apply(body=body, only_new=body["kind"] in _ONLY_NEW)]
    if covers(observed.body, body):
        return []
    shrinks = body["kind"] == "Deployment" and body["spec"]["replicas"] < observed.replicas
    return [Apply(body=body, resource_version=observed.resource_version if shrinks else None)]


def corrected(snapshot: Snapshot, applied: Sequence[Apply], *, sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Applies that put something back: the object was there, and neither the pool's spec nor its size changed.

    Rules are not told of: what the installation says of them changes them as well.
    """
    if snapshot.pool.status.observed_generation != snapshot.pool.generation:
        return ()
    unsized = {("Deployment", name) for name, child in snapshot.deployments.items() if child.replicas == sizes[name]}
    scaler = snapshot.keda.scaled_object if snapshot.mode is ScalingMode.KEDA else snapshot.autoscaler
    others = [child for child in (snapshot.budget, scaler) if child is not None]
    there = unsized | {(child.body["kind"], snapshot.pool.name) for child in others}
    named = [(apply.body["kind"], apply.body["metadata"]["name"]) for apply in applied]
    return tuple(f"{kind} {name}" for kind, name in named if (kind, name) in there)


def deletes(snapshot: Snapshot, *, versions: Versions, sizes: Mapping[str, int]) -> tuple[Delete, ...]:
    """Whoever scales without a say; versions that nobody runs any more, the Deployment first, then its revision."""
    unwanted: list[Delete] = []
    if snapshot.autoscaler is not None and snapshot.mode is not ScalingMode.HPA:
        # In whatever state: it writes its own status all the time.
        kind, uid = "HorizontalPodAutoscaler", snapshot.autoscaler.uid
        unwanted.append(Delete(kind=kind, name=snapshot.pool.name, uid=uid))
    if snapshot.mode is not ScalingMode.KEDA:
        unwanted += _without_keda(snapshot)
    places = snapshot.places
    keys = [places.home, *([] if places.away is None else [places.away])]
    kept = {desired.deployment_name(name, key) for name in versions.holding for key in keys}
    for name, child in sorted(snapshot.deployments.items()):
        if name not in kept and sizes[name] == 0 and child.replicas == 0 and child.existing == 0:
            unwanted.append(_delete("Deployment", name, child))
    running = groups(snapshot)
    for name, child in sorted(snapshot.revisions.items()):
        unused = name not in versions.holding and name not in running
        if unused and child.labels.get(VERSION_LABEL) not in versions.trusted:
            unwanted.append(_delete("ControllerRevision", name, child))
    rule = snapshot.monitoring.rule
    if rule is not None and not snapshot.pool.spec.alerts.enabled:
        # Whatever its state: it is not watched, so that is not known, and what goes with it is nothing.
        unwanted.append(Delete(kind="PrometheusRule", name=snapshot.pool.name, uid=rule.uid))
    return tuple(unwanted)


def _without_keda(snapshot: Snapshot) -> list[Delete]:
    """In whatever state: KEDA writes its own status. Its HPA goes with the ScaledObject."""
    children = (snapshot.keda.scaled_object, snapshot.keda.answer)
    return [
        Delete(kind=child.body["kind"], name=child.body["metadata"]["name"], uid=child.uid)
        for child in children
        if child is not None
    ]


def _delete(kind: str, name: str, child: Child) -> Delete:
    return Delete(kind=kind, name=name, uid=child.uid, resource_version=child.resource_version)
