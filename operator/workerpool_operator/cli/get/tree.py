"""One pool as a tree of its queues, versions and pods: pure but for rich's own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from rich.text import Text
from rich.tree import Tree

from workerpool_operator.cli.get.rows import UNKNOWN, Json, Row, age, condition, known
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
    _queues(found, scene)
    _versions(found, scene)
    for note in scene.notes:
        found.add(Text(note, style="dim"))
    return found


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
    ordered = sorted(pods, key=lambda pod: pod["metadata"]["name"])
    for pod in ordered[:_MOST_PODS]:
        jobs = scene.jobs.get(pod["metadata"]["name"])
        state = pod_state(pod)
        doing = ""
        if jobs is not None:
            rate = f", {jobs.per_minute:.0f} jobs/min" if jobs.per_minute is not None else ""
            doing = f"  {jobs.in_flight} in flight{rate}"
        node = pod.get("spec", {}).get("nodeName", "no node yet")
        since = age(pod["metadata"].get("creationTimestamp"), now=scene.now)
        style = "" if state in {"Ready", "Draining"} else "yellow"
        branch.add(Text(f"{pod['metadata']['name']}  {state}{doing}  {node}  {since}", style=style))
    if len(ordered) > _MOST_PODS:
        branch.add(Text(f"and {len(ordered) - _MOST_PODS} more", style="dim"))


def pod_state(pod: Json) -> str:
    """In one word: Ready, Draining, or what keeps it from being Ready."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Draining"
    status: Json = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            return str(waiting.get("reason", "Waiting"))
    if any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ()):
        return "Ready"
    return "NotReady" if status.get("phase") == "Running" else str(status.get("phase", "Pending"))


def _label(pod: Json) -> str:
    return str((pod["metadata"].get("labels") or {}).get(VERSION_LABEL, ""))
