"""What a real Prometheus makes of the monitors and rules: what is scraped, what fires, and what stays silent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cli import wpool
from e2e.monitoring import stage
from e2e.monitoring.prometheus import GROUP, Prometheus
from e2e.monitoring.window import ACT, QUARTER, SIZES, STEP, Evidence, Window
from e2e.processes import continue_worker, stop_worker
from e2e.scene import SOON, Scene, all_at_once, assert_nothing_lost, new_scene
from e2e.support import pools
from e2e.support.kubectl import Kubectl
from e2e.support.stack import NAMESPACE, RELEASE, Stack
from e2e.support.wait import wait_for

HEARTBEAT = "WorkerHeartbeatMissing"
DEPTH = "HighQueueDepth"
WINDOW_SECONDS = 1800
"""The first test that asks for the evidence waits for it."""

SILENT = ("steady", "killed", "replaced", "renewed", "shrinking", "zero", "busy", "spike")
HEARTBEAT_LOST = ("stopped", "crashed", "lost")


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Iterator[Prometheus]:
    with stage.watched(stack) as found:
        yield found


@pytest.mark.core
def test_operator_collector_and_workers_are_scraped(prometheus: Prometheus, scene: Scene) -> None:
    """By the monitors of the chart, and the series say whose they are."""
    scene.apply("seen", scaling={"minReplicas": 2, "maxReplicas": 2})
    scene.wait_workers("seen", 2)
    prometheus.sync()
    ours = {NAMESPACE: "http", scene.namespace: "metrics"}
    selected = "app.kubernetes.io/managed-by=workerpool-operator"

    def all_up() -> bool:
        expected = names(scene.kubectl, scene.namespace, selected)
        expected |= names(scene.kubectl, NAMESPACE, f"app.kubernetes.io/name={RELEASE}")
        found = [one for one in prometheus.targets() if ours.get(one.labels["namespace"]) == one.labels["endpoint"]]
        return {one.labels["pod"] for one in found if one.healthy} == expected and all(one.healthy for one in found)

    wait_for(all_up, seconds=SOON, what="operator, collector and workers all up", pause=1)
    where = f'{{namespace="{scene.namespace}",pool="seen"}}'
    series = {
        f"count(worker_heartbeat_unixtime{where})": 2,
        f"max(pool_workers_expected{where})": 2,
        f"max(queue_depth{where})": 0,
        f"max(workerpool_replicas{where})": 2,
        "count({exported_namespace!=''}) or vector(0)": 0,
    }
    for expression, value in series.items():
        wait_for(lambda: prometheus.value(expression) == value, seconds=SOON, what=f"{expression} = {value}", pause=1)  # noqa: B023


def test_cost_and_report_tell_what_a_pool_has_done(prometheus: Prometheus, scene: Scene) -> None:
    """`wpool cost` and `wpool report`, from a Prometheus that this machine reaches by a port-forward."""
    scene.apply("billed", scaling={"minReplicas": 2, "maxReplicas": 2})
    scene.wait_workers("billed", 2)
    prometheus.sync()
    seen = f'count(worker_heartbeat_unixtime{{namespace="{scene.namespace}",pool="billed"}})'
    wait_for(lambda: prometheus.value(seen) == 2, seconds=90, what="both workers scraped", pause=1)
    with scene.feeding("billed", all_at_once(20)) as feeding:
        assert_nothing_lost(feeding.report(seconds=60), jobs=20)
    with prometheus.forwarded() as url:
        where = ("billed", f"--namespace={scene.namespace}", "--prometheus", url, "--window", "1h", "--output", "json")

        def told(command: str) -> dict[str, Any]:
            shown = wpool(scene, command, *where)
            return json.loads(shown.stdout)[0] if shown.returncode == 0 else {}

        wait_for(lambda: told("cost").get("worker_hours"), seconds=90, what="what it has used", pause=2)
        wait_for(lambda: told("report").get("jobs"), seconds=90, what="what it has done", pause=2)


@pytest.mark.core
def test_the_rules_of_a_pool_are_evaluated(prometheus: Prometheus, scene: Scene) -> None:
    """A pool's PrometheusRule is taken in, evaluated without an error, and sees a worker that hangs."""
    scene.apply(
        "ruled",
        scaling={"minReplicas": 2, "maxReplicas": 2},
        worker={"livenessProbe": {"periodSeconds": 300, "failureThreshold": 100}},
    )
    workers = scene.wait_workers("ruled", 2)
    scene.wait_condition("ruled", "Monitored", status="True", reason="PrometheusRuleApplied")
    prometheus.sync()
    mine = 'pool="ruled"'
    rule = scene.kubectl.get("prometheusrule", "ruled", namespace=scene.namespace)
    assert rule
    made = rule["spec"]["groups"][0]["rules"]
    assert len(made) == 4  # two that users expect, what one of them is made of, and that of canaries

    def evaluated() -> bool:
        found = [one for one in prometheus.rules() if mine in one["query"]]
        return len(found) == len(made) and all(one["health"] == "ok" for one in found)

    wait_for(evaluated, seconds=90, what="the pool's rules evaluated", pause=1)
    # A worker is expected from the moment it is ready, and beats once it is scraped: until then the alert is pending.
    wait_for(lambda: not alerts(prometheus, scene, "ruled"), seconds=90, what="no alert on workers that beat", pause=1)
    hanging = next(iter(workers.values()))
    stop_worker(scene, hanging)
    try:
        wait_for(lambda: alerts(prometheus, scene, "ruled") == {HEARTBEAT}, seconds=120, what=HEARTBEAT, pause=1)
    finally:
        continue_worker(scene, hanging)


def alerts(prometheus: Prometheus, scene: Scene, pool: str) -> set[str]:
    """The names of the alerts about a pool, pending ones included."""
    found = [one for one in prometheus.alerts() if one.labels["namespace"] == scene.namespace]
    return {one.name for one in found if one.labels["pool"] == pool}


def names(kubectl: Kubectl, namespace: str, selector: str) -> set[str]:
    """The pods that are selected."""
    return {pod["metadata"]["name"] for pod in kubectl.list("pods", namespace=namespace, selector=selector)}


@pytest.fixture(scope="module")
def evidence(prometheus: Prometheus, stack: Stack) -> Iterator[Evidence]:
    """What Prometheus made of a quarter of an hour with the pools of `e2e.monitoring.window`."""
    nodes = stack.cluster.nodes
    if len(nodes) < 2 or stack.cluster.provider == "external":
        pytest.skip("needs two nodes of this machine, one of which may be lost")
    with new_scene(stack, redis_node=nodes[0]) as scene:
        window = Window(scene=scene, prometheus=prometheus, safe=nodes[0], doomed=nodes[1])
        window.open()
        yield window.watch()


@pytest.mark.timeout(WINDOW_SECONDS)
@pytest.mark.parametrize("pool", SILENT)
def test_a_pool_without_trouble_is_silent_for_a_quarter_of_an_hour(evidence: Evidence, pool: str) -> None:
    """Work, a container that is restarted, pods that are replaced, a new version, scale-in, zero, a queue that is
    always long, and one that is for a minute: nobody is woken for any of these."""
    assert evidence.seconds >= QUARTER
    assert evidence.fired(pool) == {}, evidence.table()


@pytest.mark.timeout(WINDOW_SECONDS)
def test_an_upgrade_of_the_operator_is_silent(evidence: Evidence) -> None:
    """Other pods take the place of operator and collector while pools work: nobody is told of it."""
    assert not [one for one in evidence.installation if one.fired is not None], evidence.table()


@pytest.mark.timeout(WINDOW_SECONDS)
@pytest.mark.parametrize("pool", HEARTBEAT_LOST)
def test_a_worker_that_is_no_more_is_told_within_three_minutes(evidence: Evidence, pool: str) -> None:
    """One that hangs, one whose container does not come back, one whose node is lost."""
    told = evidence.fired(pool)
    assert told.keys() == {HEARTBEAT}, evidence.table()
    fired, severity = told[HEARTBEAT].fired, told[HEARTBEAT].severity
    assert fired is not None
    # A minute that it has to hold, 30 s of silence, and the steps of scraping and evaluating.
    assert ACT + 60 <= fired <= ACT + 180, evidence.table()
    assert severity == "critical"


@pytest.mark.timeout(WINDOW_SECONDS)
@pytest.mark.parametrize(("pool", "since"), [("linear", 0.0), ("step", STEP)])
def test_a_queue_that_grows_is_told(evidence: Evidence, pool: str, since: float) -> None:
    """At a constant rate, and at once: after 5 minutes of it, and of history to compare with."""
    told = evidence.fired(pool)
    assert told.keys() == {DEPTH}, evidence.table()
    fired, severity = told[DEPTH].fired, told[DEPTH].severity
    assert fired is not None
    assert since + 300 <= fired <= since + 720, evidence.table()
    assert severity == "warning"


@pytest.mark.timeout(WINDOW_SECONDS)
def test_each_pool_was_seen_all_the_time(evidence: Evidence) -> None:
    """Silence proves nothing where nobody looked: signs of life came throughout, and the queues were that long."""
    beating = evidence.beating["steady"]
    assert {value for _, value in beating} == {2.0}
    assert evidence.longest_gap("steady") <= 15
    assert evidence.beating["stopped"][-1][1] == 1
    highest = {pool: max(depth) for pool, depth in evidence.depth.items()}
    assert highest["linear"] > 1000
    assert min(highest["step"], highest["spike"]) > 200
    assert min(evidence.depth["busy"][12:]) > 50
    assert SIZES.keys() == set(SILENT) | set(HEARTBEAT_LOST) | {"linear", "step"}


@pytest.mark.timeout(700)
def test_without_the_kinds_of_prometheus_a_pool_works_and_says_what_it_lacks(
    prometheus: Prometheus, own_scene: Scene
) -> None:
    """The definitions are taken away and given back: the pool goes on, says so, and gets its rule again."""
    scene, kubectl = own_scene, own_scene.kubectl
    scene.apply("bare", scaling={"minReplicas": 1, "maxReplicas": 1})
    scene.wait_condition("bare", "Monitored", status="True", reason="PrometheusRuleApplied")
    kubectl.delete("customresourcedefinition", f"prometheusrules.{GROUP}")
    seen = scene.wait_condition("bare", "Monitored", status="False", reason="PrometheusRuleKindMissing", seconds=330)
    assert "prometheus-operator" in seen
    with scene.feeding("bare", all_at_once(10)) as feeding:
        assert_nothing_lost(feeding.report(seconds=60), jobs=10)
    pools.wait_ready(kubectl, scene.namespace, "bare")
    stage.define(kubectl)
    scene.wait_condition("bare", "Monitored", status="True", reason="PrometheusRuleApplied", seconds=330)
    assert kubectl.get("prometheusrule", "bare", namespace=scene.namespace)
