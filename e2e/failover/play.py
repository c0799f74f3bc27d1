"""The play: everything on one node, that node lost while jobs run, and brought back."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from e2e.cluster.progress import say
from e2e.scene import Scene, is_stopping
from e2e.support import pools
from e2e.support.kubectl import Json, KubectlError
from e2e.support.stack import NAMESPACE, RELEASE, leader
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady
from workerpool_operator.cli.load.ledger import Event, Record

POOL = "moved"
WORKERS = 4
TIMEOUT_SECONDS = 30
JOBS_PER_SECOND = 4.0
LOAD_SECONDS = 300
JOB_SECONDS = 1.0
NEW_COLLECTOR_SECONDS = 120
"""Kubernetes calls the node lost after 40 to 50 s, and starts another collector 15 s later."""
HOST = "kubernetes.io/hostname"
RESULTS = f"{{{POOL}}}:user:results"
_AGE = re.compile(r"^collector_sample_age_seconds\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was seen. Times in seconds; of a failover they count from the kill."""

    failover_seconds: float
    """Until the first job was begun on the other node."""
    failover_timeout_seconds: int
    leader_seconds: float
    """Until another operator held the Lease."""
    collectors: int
    """How many the namespace has; a single one was on the lost node."""
    samples_fresh_seconds: float | None
    """With two collectors the age of the oldest reading that counted meanwhile, as the other one has it. With one the
    time until another one had read all queues. None: nobody could be asked."""
    jobs: int | None
    jobs_lost: int | None
    """None: not known, which is not good enough."""
    jobs_dead: int | None
    failback_seconds: float
    """From the node's return until all workers were there again, and none in the other place."""
    failback_interrupted: int
    """Jobs that workers of the other place had begun and not ended, after the node's return."""

    @property
    def ok(self) -> bool:
        """Whether it is as it has to be."""
        # Silence counts only while a collector listens: with one, its own comeback goes first.
        deaf, stale = (0, 10) if self.collectors > 1 else (NEW_COLLECTOR_SECONDS, NEW_COLLECTOR_SECONDS)
        in_time = self.failover_seconds <= deaf + self.failover_timeout_seconds + 30 and self.leader_seconds < 20
        fresh = self.samples_fresh_seconds is not None and self.samples_fresh_seconds < stale
        unharmed = (self.jobs_lost, self.jobs_dead, self.failback_interrupted) == (0, 0, 0)
        return in_time and self.leader_seconds > 0 and fresh and unharmed


@dataclass(slots=True)
class Watch:
    """Who leads, and how old the surviving collector's readings are, since the kill."""

    scene: Scene
    collector: str
    """Whose readings are looked at; empty: of the first one that is ready on `safe`, from when it is."""
    safe: str
    before: str
    began: float
    leader_seconds: float = 0.0
    oldest: float | None = None
    """Age of the oldest reading of the collector that survived."""
    read_seconds: float | None = None
    """Until a collector that came later had read the queues."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stop.wait(0.5):
            try:
                lease = self.scene.kubectl.get("lease", RELEASE, namespace=NAMESPACE) or {"spec": {}}
                ages = self._ages()
            except KubectlError as error:
                say(f"failover: {error}")
                continue
            now = time.monotonic() - self.began
            holder = str(lease["spec"].get("holderIdentity", ""))
            if not self.leader_seconds and holder and not holder.startswith(self.before):
                self.leader_seconds = now
            if self.collector:
                self.oldest = max([*ages, *([] if self.oldest is None else [self.oldest])], default=None)
            elif self.read_seconds is None and ages:
                self.read_seconds = now

    def _ages(self) -> list[float]:
        name = self.collector or _collectors(self.scene).get(self.safe, "")
        if not name:
            return []
        path = f"/api/v1/namespaces/{self.scene.namespace}/pods/{name}:8000/proxy/metrics"
        return [float(age) for age in _AGE.findall(self.scene.kubectl.raw(path))]

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()


def values(collectors: int) -> tuple[str, ...]:
    """Give the chart's values that it takes."""
    return "replicas=2", f"collector.replicas={collectors}", "externalMetrics.enabled=true"


def play(scene: Scene, *, collectors: int = 2) -> Row:
    """Lose the node, bring it back, and tell; the namespace has so many collectors, one or two."""
    safe, doomed = scene.stack.cluster.nodes[:2]
    scene.apply(
        POOL,
        scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS},
        placement={
            "primary": {"nodeSelector": {HOST: doomed}},
            "secondary": {"nodeSelector": {HOST: safe}},
            "failoverTimeoutSeconds": TIMEOUT_SECONDS,
        },
    )
    scene.wait_workers(POOL, WORKERS, seconds=120)
    _lead_from(scene, doomed)
    collector = _surviving_collector(scene, safe) if collectors > 1 else ""
    if not collector:
        _collect_from(scene, doomed, instead_of=safe)
    schedule = steady(rate=JOBS_PER_SECOND, jobs=int(LOAD_SECONDS * JOBS_PER_SECOND))
    with scene.feeding(POOL, schedule, seconds=JOB_SECONDS) as feeding:
        feeding.wait_done(20)
        watch = Watch(scene, collector, safe, before=leader(scene.kubectl), began=time.monotonic())
        with _lost(scene, doomed, watch) as killed:
            begun = wait_for(lambda: _first_start(scene, node=safe, after=killed), seconds=300, what="a job begun")
            say(f"failover: the first job began on {safe} after {begun - killed:.1f} s")
            wait_for(lambda: len(_running_on(scene, safe)) == WORKERS, seconds=60, what="all workers elsewhere")
            wait_for(lambda: watch.leader_seconds, seconds=60, what="another leader")
            if not collector:
                wait_for(lambda: watch.read_seconds, seconds=60, what="another collector's readings")
        returned, returned_wall = time.monotonic(), time.time()
        say(f"failover: {doomed} is back")
        wait_for(lambda: _home(scene, doomed), seconds=300, what="all workers at home", pause=1.0)
        failback = time.monotonic() - returned
        report = feeding.report(seconds=LOAD_SECONDS)
    fresh = watch.oldest if collector else watch.read_seconds
    return Row(
        failover_seconds=round(begun - killed, 1),
        failover_timeout_seconds=TIMEOUT_SECONDS,
        leader_seconds=round(watch.leader_seconds, 1),
        collectors=collectors,
        samples_fresh_seconds=None if fresh is None else round(fresh, 1),
        jobs=report.jobs_done,
        jobs_lost=report.jobs_lost,
        jobs_dead=report.jobs_dead,
        failback_seconds=round(failback, 1),
        failback_interrupted=_interrupted(scene, node=safe, after=returned_wall),
    )


@contextmanager
def _lost(scene: Scene, node: str, watch: Watch) -> Iterator[float]:
    """Without this node; gives when it was killed, by the wall clock, which is that of the Redis as well."""
    watching = threading.Thread(target=watch.run, name="watch", daemon=True)
    killed = time.time()
    watch.began = time.monotonic()
    scene.stack.cluster.stop_node(node)
    watching.start()
    try:
        yield killed
    finally:
        watch.stop()
        watching.join(timeout=30)
        scene.stack.cluster.start_node(node)


def _lead_from(scene: Scene, node: str) -> None:
    """Have the leader on this node: whoever leads elsewhere is deleted until that is so."""

    def there() -> bool:
        operators = scene.kubectl.list("pods", namespace=NAMESPACE, selector=f"app.kubernetes.io/name={RELEASE}")
        at = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in operators if not is_stopping(pod)}
        if len(at) != 2 or not all(map(_is_ready, operators)) or len(operators) != len(at):
            return False
        if set(at.values()) != set(scene.stack.cluster.nodes[:2]):
            scene.kubectl.delete("pod", next(iter(at)), namespace=NAMESPACE)
            return False
        holder = leader(scene.kubectl)
        if at.get(holder) == node:
            return True
        if holder in at:
            scene.kubectl.delete("pod", holder, namespace=NAMESPACE)
        return False

    wait_for(there, seconds=180, what=f"the leader on {node}", pause=2.0)


def _collectors(scene: Scene) -> dict[str, str]:
    """Node -> the ready collector there."""
    pods = scene.kubectl.list("pods", namespace=scene.namespace, selector="app.kubernetes.io/component=collector")
    return {pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in pods if _is_ready(pod) and not is_stopping(pod)}


def _surviving_collector(scene: Scene, node: str) -> str:
    """The collector there, once there is one on each node."""

    def found() -> str:
        ready = _collectors(scene)
        return ready.get(node, "") if len(ready) == 2 else ""

    return wait_for(found, seconds=120, what="a ready collector on each node")


def _collect_from(scene: Scene, node: str, *, instead_of: str) -> None:
    """Have the only collector on this node of the two."""
    wait_for(lambda: _collectors(scene), seconds=120, what="a ready collector")
    scene.kubectl.run("cordon", instead_of)
    try:
        if name := _collectors(scene).get(instead_of):
            scene.kubectl.delete("pod", name, namespace=scene.namespace)
        wait_for(lambda: list(_collectors(scene)) == [node], seconds=120, what=f"the collector on {node}")
    finally:
        scene.kubectl.run("uncordon", instead_of)


def _is_ready(pod: Json) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", ())
    )


def _running_on(scene: Scene, node: str) -> list[Json]:
    return [pod for pod in scene.workers(POOL).values() if pod["spec"].get("nodeName") == node and not is_stopping(pod)]


def _home(scene: Scene, node: str) -> bool:
    there = [pod for pod in pools.pods(scene.kubectl, scene.namespace, POOL) if not is_stopping(pod)]
    return len(there) == WORKERS == len(_running_on(scene, node))


def _records(scene: Scene) -> list[Record]:
    """What workers told of jobs so far."""
    with scene.broker() as client:
        entries: Any = client.xrange(RESULTS)
    told = ((entry.encode(), {key.encode(): value.encode() for key, value in one.items()}) for entry, one in entries)
    return [record for entry, fields in told if (record := Record.parse(entry, fields))]


def _first_start(scene: Scene, *, node: str, after: float) -> float:
    """When the first job began there, as unix time; 0: none has."""
    starts = [one.at_ms / 1000 for one in _records(scene) if one.event is Event.START and one.node == node]
    return min((at for at in starts if at > after), default=0.0)


def _interrupted(scene: Scene, *, node: str, after: float) -> int:
    """Jobs that a worker there began after this moment and did not end."""
    records = [one for one in _records(scene) if one.node == node]
    begun = {(one.job, one.pod) for one in records if one.event is Event.START and one.at_ms / 1000 > after}
    return len(begun - {(one.job, one.pod) for one in records if one.event is not Event.START})
