"""One pool as a tree of its rollout, places, queues, versions and pods: pure but for rich's own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from rich.text import Text
from rich.tree import Tree

from workerpool_operator.cli.canary import Phase, canary_of
from workerpool_operator.cli.get.rows import UNKNOWN, Json, Row, age, condition, known
from workerpool_operator.cli.places import Placed, place_of, placed, progress, told
from workerpool_operator.cli.pods import LOST, lost_nodes, pod_state
from workerpool_operator.domain.desired.names import VERSION_LABEL

_MOST_PODS: Final = 40
"""Shown of each version: a tree that is longer than a screen cannot be followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What is known of one pod's."""

    in_flight: int
    per_minute: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is shown."""

    pool: Json
    pods: Sequence[Json]
    jobs: Mapping[str, Jobs] = field(default_factory=dict)
    """By name of the pod."""
    notes: Sequence[str] = ()
    now: datetime
    context: str | None = None
    """The one that was named for the cluster."""


def tree(scene: Scene) -> Tree:
    """The pool now."""
    row = Row.of(scene.pool, now=scene.now)
    head = Text.assemble(
        (f"{row.namespace}/{row.name}", "bold"),
        ("  Ready " if row.ready == "True" else f"  Ready={row.ready} ", "green" if row.ready == "True" else "red"),
        f"{row.workers} ready, {row.desired} wanted ({row.mode})",
    )
    found = Tree(head)
    found.add(Text(row.reason, style="" if row.ready == "True" else "red"))
    if row.limited_by != UNKNOWN:
        found.add(Text(f"limited by {row.limited_by}", style="yellow"))
    for kind in ("ScalingActive", "QueueReachable", "Stalled"):
        told = condition(scene.pool, kind)
        if told.get("status") == ("True" if kind == "Stalled" else "False"):
            found.add(Text(f"{kind}: {told.get('message') or told.get('reason')}", style="red"))
    _rollout(found, scene)
    _places(found, scene)
    _queues(found, scene)
    _versions(found, scene)
    for note in scene.notes:
        found.add(Text(note, style="dim"))
    return found


def _rollout(found: Tree, scene: Scene) -> None:
    canary = canary_of(scene.pool, context=scene.context)
    if canary is None:
        return
    first, *more = canary.lines
    bad = canary.phase is Phase.REJECTED or canary.verdict.startswith("verdict Fail")
    branch = found.add(Text(f"rollout {canary.phase}: {first}", style="red" if bad else ""))
    for line in more:
        branch.add(Text(line))


def _places(found: Tree, scene: Scene) -> None:
    view = placed(scene.pool, scene.pods)
    if view is None:
        return
    first, *more = told(view, now=scene.now, context=scene.context)
    branch = found.add(Text(first, style="" if view.status == "True" else "yellow"))
    if how_far := progress(view):
        branch.add(Text(how_far, style="yellow"))
    for line in more:
        branch.add(Text(line))
    _place_lines(branch, view)


def _place_lines(branch: Tree, view: Placed) -> None:
    for line in view.lines:
        uses = [
            word for word, so in (("workers belong here", line.home), ("workers are added here", line.active)) if so
        ]
        counts = [f"{line.ready}/{line.pods} ready"]
        counts += [f"{line.pending} without a node"] if line.pending else []
        counts += [f"{line.lost} lost, and fenced"] if line.lost else []
        text = f"place {line.name or 'of before'} ({line.nodes}): {', '.join(counts)}"
        branch.add(Text(f"{text}; {', '.join(uses)}" if uses else text, style="red" if line.lost else ""))


def _queues(found: Tree, scene: Scene) -> None:
    for queue in (scene.pool.get("status") or {}).get("queues") or ():
        oldest = queue.get("oldestAgeSeconds")
        text = f"queue {queue['name']}: {known(queue.get('depth'))} waiting, {known(queue.get('inFlight'))} in flight"
        text += f", the oldest for {oldest} s" if oldest else ""
        reachable = queue.get("reachable") is not False
        found.add(Text(text if reachable else f"{text}; it cannot be read", style="" if reachable else "red"))


def _versions(found: Tree, scene: Scene) -> None:
    listed = set[str]()
    for version in (scene.pool.get("status") or {}).get("versions") or ():
        key = version["hash"]
        pods = [pod for pod in scene.pods if _label(pod) == key] if key not in listed else []
        listed.add(key)
        branch = found.add(
            Text(
                f"version {key} ({version.get('role') or UNKNOWN}) {version.get('image', '')}: "
                f"{version.get('readyReplicas', 0)}/{version.get('replicas', 0)} ready, "
                f"{version.get('inFlight', 0)} in flight"
            )
        )
        _pods(branch, pods, scene)
    rest = [pod for pod in scene.pods if _label(pod) not in listed]
    if rest:
        _pods(found.add("other pods"), rest, scene)


def _pods(branch: Tree, pods: Sequence[Json], scene: Scene) -> None:
    ordered, silent = sorted(pods, key=lambda pod: pod["metadata"]["name"]), lost_nodes(scene.pool)
    for pod in ordered[:_MOST_PODS]:
        jobs = scene.jobs.get(pod["metadata"]["name"])
        node = pod.get("spec", {}).get("nodeName", "no node yet")
        state = LOST if node in silent else pod_state(pod)
        doing = ""
        if jobs is not None:
            rate = f", {jobs.per_minute:.0f} jobs/min" if jobs.per_minute is not None else ""
            doing = f"  {jobs.in_flight} in flight{rate}"
        where = place_of(scene.pool, pod)
        since = age(pod["metadata"].get("creationTimestamp"), now=scene.now)
        style = "" if state in {"Ready", "Draining"} else "yellow"
        branch.add(
            Text(
                f"{pod['metadata']['name']}  {state}{doing}  {node}{f' ({where})' if where else ''}  {since}",
                style=style,
            )
        )
    if len(ordered) > _MOST_PODS:
        branch.add(Text(f"and {len(ordered) - _MOST_PODS} more", style="dim"))


def _label(pod: Json) -> str:
    return str((pod["metadata"].get("labels") or {}).get(VERSION_LABEL, ""))
