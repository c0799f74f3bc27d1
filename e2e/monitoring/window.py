"""A quarter of an hour in the life of many pools, side by side, so that their waits overlap.

Each pool stands for one thing that happens, or does not. What Prometheus made of it is asked for at the end.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from e2e import processes
from e2e.cluster.progress import say
from e2e.monitoring import stage
from e2e.monitoring.prometheus import Prometheus, Series
from e2e.scene import Scene, restarts
from e2e.support.kubectl import Json
from e2e.support.stack import NAMESPACE, RELEASE
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import Schedule, burst, moments, steady

QUARTER: Final = 900.0
"""A quarter of an hour: a pool that is busy at its greatest size is rightly told of from then on."""
SECONDS: Final = QUARTER + 30.0
"""How long the pools are watched: so long, and one evaluation."""
ACT: Final = 60.0
"""When the trouble begins."""
STEP: Final = 390.0
"""When the queue of `step` grows: 5 minutes and more of what was usual lie before it."""
UPGRADE: Final = 200.0
"""When operator and collector are replaced by others."""
_LONG: Final = 100.0
"""Seconds of a job, the most that the reference worker takes: two at a time keep up with none of the loads."""
_COLLECTORS: Final = "app.kubernetes.io/component=collector"
_PENDING: Final = "pending"
_FIRING: Final = "firing"
# Comes up once; from then on it ends as soon as it begins. /tmp outlives a container, not a pod.
_ONCE: Final = "[ -e /tmp/ran ] && exit 1; touch /tmp/ran; exec python -m reference_io"
_NEVER_RESTARTED: Final = {"periodSeconds": 300, "failureThreshold": 100}

SIZES: Final[Mapping[str, int]] = {
    "steady": 2,  # works, and nothing happens
    "stopped": 2,  # one hangs
    "crashed": 1,  # its container ends and does not come back
    "lost": 1,  # its node is lost
    "killed": 1,  # its container ends and comes back
    "replaced": 2,  # a pod is deleted, and later another one by force
    "renewed": 2,  # its workers are replaced by others of a new version
    "shrinking": 3,  # is made smaller
    "zero": 1,  # goes to none
    "linear": 1,  # its queue grows all the time
    "step": 1,  # its queue grows at once, and stays
    "busy": 1,  # its queue is long all the time
    "spike": 1,  # its queue grows at once, and is worked off
}
"""The pools, with their workers as the window begins."""
_LOADS: Final[Mapping[str, tuple[Schedule, float]]] = {
    "steady": (steady(rate=1, jobs=round(SECONDS)), 0.5),
    "linear": (steady(rate=2, jobs=round(2 * SECONDS)), _LONG),
    "step": (moments((STEP, 300)), _LONG),
    "busy": (burst(jobs=100), _LONG),
    "spike": (moments((STEP, 300)), 0.5),
}
"""What comes into their queues, and how long a job takes."""
_WORKERS: Final[Mapping[str, Json]] = {
    "stopped": {"livenessProbe": _NEVER_RESTARTED},
    "crashed": {"command": ["sh", "-c", _ONCE]},
}
"""Fields of their workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An alert; times are seconds since the window began."""

    alert: str
    severity: str
    pending: float | None
    fired: float | None
    last: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What Prometheus made of the window."""

    seconds: float
    told: Mapping[str, tuple[Told, ...]]
    """For each pool, its alerts; a pool of which nothing was told has an empty tuple."""
    installation: tuple[Told, ...]
    """What was told of the operator and its collectors."""
    beating: Mapping[str, tuple[tuple[float, float], ...]]
    """For each pool with workers: how many gave a sign of life, by time."""
    depth: Mapping[str, tuple[float, ...]]
    """For each pool: the jobs in its queue, by time."""

    def fired(self, pool: str) -> dict[str, Told]:
        """Give the alerts of a pool that fired within the quarter of an hour, by name."""
        return {one.alert: one for one in self.told[pool] if one.fired is not None and one.fired < QUARTER}

    def longest_gap(self, pool: str) -> float:
        """Give the longest time (s) in which no worker of the pool was seen."""
        times = [0.0, *(at for at, _ in self.beating[pool]), self.seconds]
        return max(after - before for before, after in itertools.pairwise(times))

    def table(self) -> str:
        """Give it as lines of text."""
        lines = [f"{'pool':<12} {'alert':<24} pending   fired    last  (s since the window began)"]
        for pool, told in (*sorted(self.told.items()), ("installation", self.installation)):
            for one in told:
                times = "".join(f"{'-' if at is None else f'{at:.0f}':>8}" for at in (one.pending, one.fired, one.last))
                lines.append(f"{pool:<12} {one.alert:<24}{times}")
            if not told:
                lines.append(f"{pool:<12} nothing")
        return "\n".join(lines)


@dataclass(kw_only=True)
class Window:
    """The pools, and what happens to them."""

    scene: Scene
    prometheus: Prometheus
    safe: str
    doomed: str
    workers: dict[str, dict[str, Json]] = field(default_factory=dict)

    def open(self) -> None:
        """Make the pools; return when their workers are there and their rules are evaluated."""
        with self._nothing_else_there():
            for name in SIZES.keys() - {"lost"}:
                self._make(name, node=self.safe)
            self._wait_workers(SIZES.keys() - {"lost"})
        self._make("lost", node=self.doomed)
        self._wait_workers({"lost"})
        wait_for(self._ruled, seconds=60, what="a PrometheusRule for each pool")
        self.prometheus.sync()
        wait_for(self._scraped, seconds=60, what="each worker scraped", pause=2)

    def watch(self) -> Evidence:
        """Let happen what happens, and give what Prometheus made of it."""
        began = self._now()
        with contextlib.ExitStack() as stack:
            for name, (schedule, seconds) in _LOADS.items():
                stack.enter_context(self.scene.feeding(name, schedule, seconds=seconds))
            self._until(began + ACT)
            stack.enter_context(self._trouble())
            self._until(began + UPGRADE)
            before = self._controllers()
            stage.upgrade(self.scene.stack)
            wait_for(lambda: not before & self._controllers(), seconds=120, what="other operators and collectors")
            self._until(began + STEP - 60)
            self._delete_worker("replaced", 1, "--grace-period=0", "--force")
            self._until(began + SECONDS)
            found = self._evidence(began)
            say(found.table())
            self._check_what_happened()
            return found

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        cluster, scene = self.scene.stack.cluster, self.scene
        stopped = self._first("stopped")
        processes.stop_worker(scene, stopped)
        processes.kill_worker(scene, self._first("crashed"))
        processes.kill_worker(scene, self._first("killed"))
        self._delete_worker("replaced", 0)
        renewed = {"worker": {"env": [{"name": "RELEASE", "value": "2"}]}, "rollout": {"strategy": "Rolling"}}
        scene.patch("renewed", renewed)
        scene.patch("shrinking", {"scaling": {"minReplicas": 1, "maxReplicas": 1}})
        scene.patch("zero", {"scaling": {"minReplicas": 0}})
        cluster.stop_node(self.doomed)
        try:
            yield
        finally:
            cluster.start_node(self.doomed)
            processes.continue_worker(scene, stopped)

    def _controllers(self) -> set[str]:
        """The uids of the operator's pods and of the collector's."""
        places = {NAMESPACE: f"app.kubernetes.io/name={RELEASE}", self.scene.namespace: _COLLECTORS}
        found = [self.scene.kubectl.list("pods", namespace=where, selector=who) for where, who in places.items()]
        return {pod["metadata"]["uid"] for pods in found for pod in pods}

    @contextlib.contextmanager
    def _nothing_else_there(self) -> Iterator[None]:
        """The collector goes where there is room, and not to the node that is lost."""
        self.scene.kubectl.run("cordon", self.doomed)
        try:
            yield
        finally:
            self.scene.kubectl.run("uncordon", self.doomed)

    def _check_what_happened(self) -> None:
        """A pool that is silent proves nothing if nothing was done to it."""
        now = {name: self.scene.workers(name) for name in ("killed", "replaced", "renewed", "shrinking", "zero")}
        assert restarts(now["killed"].values()) == 1
        for name in ("replaced", "renewed"):
            assert not now[name].keys() & self.workers[name].keys(), name
        assert {name: len(now[name]) for name in ("replaced", "renewed", "shrinking", "zero")} == {
            "replaced": 2,
            "renewed": 2,
            "shrinking": 1,
            "zero": 0,
        }

    def _make(self, name: str, *, node: str) -> None:
        size = SIZES[name]
        worker = {"nodeSelector": {"kubernetes.io/hostname": node}, **_WORKERS.get(name, {})}
        self.scene.apply(name, scaling={"minReplicas": size, "maxReplicas": size}, worker=worker)

    def _wait_workers(self, names: Collection[str]) -> None:
        for name in names:
            self.workers[name] = self.scene.wait_workers(name, SIZES[name], seconds=180)

    def _first(self, name: str) -> Json:
        return next(iter(self.workers[name].values()))

    def _delete_worker(self, name: str, number: int, *flags: str) -> None:
        """Delete one of those with which the window began."""
        pod = list(self.workers[name].values())[number]["metadata"]["name"]
        self.scene.kubectl.run("delete", "pod", pod, "--wait=false", *flags, f"--namespace={self.scene.namespace}")

    def _ruled(self) -> bool:
        found = self.scene.kubectl.list("prometheusrules", namespace=self.scene.namespace)
        return {one["metadata"]["name"] for one in found} >= SIZES.keys()

    def _scraped(self) -> bool:
        where = f'{{namespace="{self.scene.namespace}"}}'
        return self.prometheus.value(f"count(worker_heartbeat_unixtime{where})") == sum(SIZES.values())

    def _now(self) -> float:
        now = self.prometheus.value("vector(time())")
        assert now is not None
        return now

    def _until(self, at: float) -> None:
        """Wait for a time of Prometheus' clock: how long an alert takes is what this is about."""
        wait_for(lambda: self._now() >= at, seconds=SECONDS, what="the next act", pause=2)

    def _evidence(self, began: float) -> Evidence:
        where = f'namespace="{self.scene.namespace}"'
        alerts = self.prometheus.history(f'ALERTS{{{where},pool!=""}}', since=began)
        others = self.prometheus.history('ALERTS{pool=""}', since=began)
        beating = self.prometheus.history(f"count by (pool) (worker_heartbeat_unixtime{{{where}}})", since=began)
        depth = self.prometheus.history(f"max by (pool) (queue_depth{{{where}}})", since=began)
        told = {name: [one for one in alerts if one.labels["pool"] == name] for name in SIZES}
        return Evidence(
            seconds=self._now() - began,
            told={pool: _all_told(found, began) for pool, found in told.items()},
            installation=_all_told(others, began),
            beating={one.labels["pool"]: tuple((at - began, value) for at, value in one.samples) for one in beating},
            depth={one.labels["pool"]: tuple(value for _, value in one.samples) for one in depth},
        )


def _all_told(alerts: Sequence[Series], began: float) -> tuple[Told, ...]:
    by_name: dict[str, list[Series]] = {}
    for one in alerts:
        by_name.setdefault(one.labels["alertname"], []).append(one)
    return tuple(_told(name, series, began) for name, series in by_name.items())


def _told(name: str, series: Sequence[Series], began: float) -> Told:
    """Sum up one alert, whichever of a pool's workers it was about."""
    times = {
        state: [at - began for one in series if one.labels["alertstate"] == state for at, _ in one.samples]
        for state in (_PENDING, _FIRING)
    }
    return Told(
        alert=name,
        severity=series[0].labels["severity"],
        pending=min(times[_PENDING], default=None),
        fired=min(times[_FIRING], default=None),
        last=max(times[_PENDING] + times[_FIRING]),
    )
