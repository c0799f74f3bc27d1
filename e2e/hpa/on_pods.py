"""Scenarios on real pods: what a user sees and does, with jobs at work. Each makes one pool, of its own name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from e2e.hpa.record import Record
from e2e.processes import kill_operator
from e2e.scene import Scene, restarts
from e2e.support import diagnose
from e2e.support.failures import FAILURES
from e2e.support.kubectl import Json
from e2e.support.stack import leader
from e2e.support.wait import wait_for
from workerpool_operator.cli.load.schedule import moments, steady

HPA = "horizontalpodautoscalers"
TWO_PERIODS = 30.0
_BUSY = {"minReplicas": 1, "maxReplicas": 6, "cooldownSeconds": 300, "scaleDown": {"stabilizationSeconds": 0}}
"""For pools of which three workers are wanted as long as the jobs of `_at_work` run."""
_JOBS, _JOB_SECONDS = 13, 100.0
"""More than ten at five a worker: three workers, for longer than a scenario takes."""


def round_trip(scene: Scene, record: Record) -> None:
    """Woken by the operator, made larger and smaller by the HPA, put to sleep by the operator; no job suffers."""
    name = "hpa-trip"
    scene.apply(name, scaling={"mode": "auto", "maxReplicas": 5, "cooldownSeconds": 5})
    scene.wait_condition(name, "Ready", status="True", reason="ScaledToZero")
    # Both loads last longer than the HPA's period and the start of a pod on a busy machine: so long the size is wanted.
    with scene.watching(name) as sizes, scene.feeding(name, moments((0, 10)), seconds=30.0) as first:
        scene.wait_workers(name, 2)
        record.note("10 jobs: 2 workers", holds=True)
        with scene.feeding(name, moments((0, 50)), seconds=12.0) as second:
            scene.wait_workers(name, 5)
            asked = _hpa(scene, name)["status"]["desiredReplicas"]
            record.note(f"50 jobs more: 5 workers, the HPA asks for {asked}", holds=asked == 5)
            reports = [feeding.report(seconds=240) for feeding in (first, second)]
        scene.wait_workers(name, 0)
    seen = sizes.history
    between = sorted({size for size in seen[seen.index(5) :] if 0 < size < 5}, reverse=True)
    record.note(f"on the way to 0 workers: {', '.join(map(str, between)) or 'nothing'}", holds=bool(between))
    done = sum(one.jobs_done or 0 for one in reports)
    bad = tuple((one.jobs_lost, one.jobs_dead, one.jobs_interrupted, one.jobs_duplicated) for one in reports)
    fine = done == 60 and not any(map(any, bad))
    record.note(f"{done} jobs done; lost, dead, interrupted, twice: {bad}", holds=fine)
    rescaled = scene.events(name, "SuccessfulRescale")
    record.note(f"the HPA has changed the size {rescaled} times", holds=rescaled >= 2)
    mode = scene.status(name)["scaling"]["mode"]
    record.note(f"auto means {mode}", holds=mode == "hpa")


def kubectl_hpa(scene: Scene, record: Record) -> None:
    """`kubectl get` and `kubectl describe` show an HPA that works, and what it does."""
    name, where = "hpa-shown", f"--namespace={scene.namespace}"
    scene.apply(name, scaling={"mode": "hpa", "minReplicas": 2})
    scene.wait_workers(name, 2)

    def works() -> bool:
        return "<unknown>" not in scene.kubectl.run("get", HPA, name, where)

    wait_for(works, seconds=TWO_PERIODS, what="the HPA has read its metric")
    shown = scene.kubectl.run("get", HPA, name, where, "--no-headers").split()
    record.note(f"kubectl get hpa: {' '.join(shown)}", holds=shown[1] == f"WorkerPool/{name}")
    described = " ".join(scene.kubectl.run("describe", HPA, name, where).split())
    for text in ("workerpool_desired_replicas", "AbleToScale True", "ScalingActive True ValidMetricFound"):
        record.note(f"kubectl describe hpa: {text}", holds=text in described)


def kubectl_scale(scene: Scene, record: Record) -> None:
    """`kubectl scale` up and down: taken, overruled within the HPA's period, and nobody comes or goes for it."""
    with _at_work(scene, record, "hpa-scaled") as name:
        for size in (6, 1):
            scene.kubectl.run("scale", "workerpool", name, f"--replicas={size}", f"--namespace={scene.namespace}")
            _put_right(scene, record, name, f"kubectl scale --replicas={size}")


def foreign_writes(scene: Scene, record: Record) -> None:
    """A PUT that leaves the field out, which the schema makes 1, and a 0 from some old manifest."""
    with _at_work(scene, record, "hpa-written") as name:
        body = scene.kubectl.get("workerpool", name, namespace=scene.namespace) or {}
        del body["spec"]["replicas"]
        del body["metadata"]["resourceVersion"]
        scene.kubectl.run("replace", "--filename=-", stdin=json.dumps(body))
        _put_right(scene, record, name, "a PUT without spec.replicas")
        scene.patch(name, {"replicas": 0})
        _put_right(scene, record, name, "0 in spec.replicas", seconds=5.0)


def mode_changes(scene: Scene, record: Record) -> None:
    """From mode to mode and back, with jobs at work all the time."""
    name, before = "hpa-modes", "direct"
    scene.apply(name, scaling={"mode": before, "minReplicas": 3, "maxReplicas": 6})
    workers = scene.wait_workers(name, 3)
    with scene.feeding(name, steady(rate=4, jobs=160), seconds=1.0) as feeding:
        feeding.wait_running(2)
        for mode in ("hpa", "manual", "hpa", "direct", "auto", "direct"):
            scene.patch(name, {"scaling": {"mode": mode}})
            _wait_mode(scene, name, "hpa" if mode == "auto" else mode)
            size = _asked(scene, name)
            same = _alive(scene, name) == workers.keys()
            record.note(f"{before} -> {mode}: spec.replicas {size}, the same 3 workers", holds=same)
            before = mode
        grown = _grow(scene, name, size=5)
        scene.patch(name, {"scaling": {"mode": "manual"}})
        _wait_mode(scene, name, "manual")
        size, same = _asked(scene, name), _alive(scene, name) == grown
        record.note(f"grown to 5, direct -> manual: spec.replicas {size}, the same 5 workers", holds=same and size == 5)
        report = feeding.report(seconds=120)
    found = (report.jobs_done, report.jobs_lost, report.jobs_dead, report.jobs_interrupted, report.jobs_duplicated)
    record.note(f"{found[0]} jobs done; lost, dead, interrupted, twice: {found[1:]}", holds=found == (160, 0, 0, 0, 0))
    again = restarts(scene.workers(name).values())
    record.note(f"{again} restarts of workers", holds=again == 0)


def _grow(scene: Scene, name: str, *, size: int) -> set[str]:
    """While nobody reads or writes spec.replicas: it says something else from then on."""
    scene.patch(name, {"scaling": {"minReplicas": size}})
    return set(scene.wait_workers(name, size))


def hpa_by_hand(scene: Scene, record: Record) -> None:
    """Somebody edits the HPA, and somebody deletes it: it is put back, and nobody comes or goes."""
    with _at_work(scene, record, "hpa-edited") as name:
        first = _hpa(scene, name)
        where = f"--namespace={scene.namespace}"
        taken = {"app.kubernetes.io/managed-by": "Helm"}
        for what, labels in (("edited", {}), ("edited, with its label taken away", taken)):
            patch = json.dumps({"metadata": {"labels": labels}, "spec": {"maxReplicas": 1}})
            scene.kubectl.run("patch", HPA, name, where, "--type=merge", f"--patch={patch}")
            wait_for(lambda: _wish(_hpa(scene, name)) == _wish(first), seconds=5, what="the HPA as it was")
            record.note(f"{what}: as it was within 5 s", holds=True)
        told = wait_for(lambda: scene.events(name, "DriftCorrected"), seconds=10, what="event DriftCorrected")
        record.note(f"event DriftCorrected x{told}", holds=True)
        scene.kubectl.delete(HPA, name, namespace=scene.namespace)
        anew = wait_for(lambda: _hpa(scene, name), seconds=5, what="the HPA anew")
        same = anew["spec"] == first["spec"] and anew["metadata"]["uid"] != first["metadata"]["uid"]
        record.note("deleted: there again within 5 s", holds=same)


def _wish(hpa: Json) -> list[Json]:
    return [hpa["spec"], hpa["metadata"]["labels"]]


def operator_killed(scene: Scene, record: Record) -> None:
    """Kill -9 of the operator: for as long as nobody serves the metric the HPA holds, and then it goes on."""
    with _at_work(scene, record, "hpa-killed") as name:
        kill_operator(scene, leader(scene.kubectl))

        def unread() -> str:
            told = _hpa(scene, name)["status"]["conditions"]
            active = next(one for one in told if one["type"] == "ScalingActive")
            return "" if active["status"] == "True" else str(active["reason"])

        reason = wait_for(unread, seconds=TWO_PERIODS, what="the HPA without its metric")
        record.note(f"killed: the HPA says {reason}, {len(_alive(scene, name))} workers", holds=True)
        wait_for(lambda: not unread(), seconds=90, what="the HPA with its metric")
        asked = _asked(scene, name)
        record.note(f"started anew: the HPA reads again, spec.replicas {asked}", holds=asked == 3)


@dataclass(frozen=True, kw_only=True)
class PodScenario:
    """One scenario on real pods."""

    name: str
    expected: str
    play: Callable[[Scene, Record], None]


ROUND_TRIP = PodScenario(
    name="0 -> N -> M -> 0 with jobs",
    expected="the operator wakes the pool and puts it to sleep, the HPA does the rest; no job is lost or interrupted",
    play=round_trip,
)
POD_SCENARIOS = (
    ROUND_TRIP,
    PodScenario(
        name="kubectl get and describe hpa",
        expected="target WorkerPool, a known metric, conditions that say it works",
        play=kubectl_hpa,
    ),
    PodScenario(
        name="kubectl scale up and down",
        expected="overruled within two periods of the HPA; the same workers all the time",
        play=kubectl_scale,
    ),
    PodScenario(
        name="foreign writes into spec.replicas",
        expected="a PUT without the field and a stale 0 drain nobody and are put right",
        play=foreign_writes,
    ),
    PodScenario(
        name="changes of mode, back and forth",
        expected="the same workers all the time, no job is lost or interrupted",
        play=mode_changes,
    ),
    PodScenario(
        name="HPA edited and deleted by hand",
        expected="put back within 5 s; the same workers all the time",
        play=hpa_by_hand,
    ),
    PodScenario(
        name="operator killed",
        expected="the HPA holds while nobody serves the metric, and goes on; the same workers all the time",
        play=operator_killed,
    ),
)


def play(scenario: PodScenario, scene: Scene) -> Record:
    """Play it in this namespace, on an installation that serves the metrics API."""
    record = Record(scenario=scenario.name, expected=scenario.expected)
    try:
        scenario.play(scene, record)
    except FAILURES as error:
        record.note(f"{error}\n{diagnose.report(scene.kubectl, scene.namespace)}", holds=False)
    finally:
        if scene.made:
            scene.kubectl.delete("workerpool", *scene.made, namespace=scene.namespace, wait=False)
            scene.made.clear()
    return record


@contextmanager
def _at_work(scene: Scene, record: Record, name: str) -> Iterator[str]:
    """A pool in mode hpa of which three workers are wanted, and work. At the end they have to be the same ones."""
    scene.apply(name, scaling={"mode": "hpa", **_BUSY})
    with scene.feeding(name, moments((0, _JOBS)), seconds=_JOB_SECONDS) as feeding:
        before = scene.wait_workers(name, 3)
        feeding.wait_running(6)
        wait_for(lambda: _asked(scene, name) == 3, seconds=TWO_PERIODS, what="3 in spec.replicas")
        yield name
        after = scene.workers(name)
        same = before.keys() == after.keys() and restarts(after.values()) == 0
        record.note("the same 3 workers, none restarted", holds=same)


def _put_right(scene: Scene, record: Record, name: str, what: str, *, seconds: float = TWO_PERIODS) -> None:
    written = _asked(scene, name)
    wait_for(lambda: _asked(scene, name) == 3, seconds=seconds, what=f"{what}: 3 in spec.replicas again")
    alive = len(_alive(scene, name))
    record.note(f"{what}: spec.replicas {written}, then 3 again, {alive} workers", holds=alive == 3)


def _hpa(scene: Scene, name: str) -> Json:
    return scene.kubectl.get(HPA, name, namespace=scene.namespace) or {}


def _asked(scene: Scene, name: str) -> int:
    found = scene.kubectl.get("workerpool", name, namespace=scene.namespace) or {}
    return int(found["spec"]["replicas"])


def _wait_mode(scene: Scene, name: str, mode: str) -> None:
    """Wait until the mode is in force, and there is an HPA or there is none, as it has to be."""

    def is_in_force() -> bool:
        return _mode(scene, name) == mode and bool(_hpa(scene, name)) is (mode == "hpa")

    wait_for(is_in_force, seconds=15, what=f"mode {mode} in force")


def _mode(scene: Scene, name: str) -> str:
    """The mode in force, once the operator has seen the pool as it is now."""
    found = scene.kubectl.get("workerpool", name, namespace=scene.namespace) or {}
    current = found["status"]["observedGeneration"] == found["metadata"]["generation"]
    return str(found["status"]["scaling"]["mode"]) if current else ""


def _alive(scene: Scene, name: str) -> set[str]:
    return set(scene.workers(name))
