"""Builds the snapshot that a plan follows from: the store, the collector's view, and time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Final

from workerpool_operator.api import Reason, WorkerPool
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store, Stored
from workerpool_operator.controller.streams import PoolView
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.desired import RuleSettings, answer_name
from workerpool_operator.domain.placement import Seen, Sighting, look, may_fail_over
from workerpool_operator.domain.rollout.ledger import PodState, Reading
from workerpool_operator.domain.scaling import Report, Sample, Share
from workerpool_operator.domain.snapshot import Child, Keda, Memory, Monitoring, PodList, Seats, Snapshot
from workerpool_operator.domain.stuck import Conduct
from workerpool_operator.kube import kinds
from workerpool_operator.protocol import CIRCUIT_OPEN, LEAVING_FENCE, PodReport, QueueSample, WorkerReport

HEARD_SECONDS: Final = 15.0
"""A worker whose stream is up and that has spoken within so long is heard."""


def observe(
    key: PoolKey,
    *,
    pool: WorkerPool,
    facts: ClusterFacts,
    store: Store,
    view: PoolView,
    memory: Memory,
    rules: RuleSettings,
    seats: Seats | None,
    now: float,
    leases: Mapping[str, bool] | None = None,
    account_usable: bool = True,
    pods: PodList | None = None,
) -> Snapshot:
    """Everything known about the pool at this moment. `leases`: as `domain.placement.Seen` has them."""
    deployments = _children(store.children(kinds.DEPLOYMENT, key.namespace, key.name), pool)
    seen = Seen(
        sightings=sightings(view) if may_fail_over(pool) else (),
        leases=leases,
        listening=view.collectors_connected > 0,
    )
    found = _children(store.children(kinds.PROMETHEUS_RULE, key.namespace, key.name), pool)
    autoscalers = _children(store.children(kinds.HORIZONTAL_POD_AUTOSCALER, key.namespace, key.name), pool)
    budgets = _children(store.children(kinds.POD_DISRUPTION_BUDGET, key.namespace, key.name), pool)
    scaled = _children(store.children(kinds.SCALED_OBJECT, key.namespace, key.name), pool)
    answers = _children(store.children(kinds.CONFIG_MAP, key.namespace, key.name), pool)
    evicted = {pod.uid for pod in view.pods if pod.evicted}
    ending = {pod.uid for pod in view.pods if pod.terminating}
    slow = pool.spec.rollout.analysis.slow_job_seconds
    reports = {worker.uid: _report(worker, ending=worker.uid in ending) for worker in view.workers}
    return Snapshot(
        pool=pool,
        facts=facts,
        deployments=deployments,
        revisions=_children(store.children(kinds.CONTROLLER_REVISION, key.namespace, key.name), pool),
        budget=budgets.get(key.name),
        monitoring=Monitoring(settings=rules, rule=found.get(key.name), absence=store.absence(kinds.PROMETHEUS_RULE)),
        autoscaler=autoscalers.get(key.name),
        keda=Keda(
            scaled_object=scaled.get(key.name),
            answer=answers.get(answer_name(pool)),
            absence=store.absence(kinds.SCALED_OBJECT),
        ),
        account_usable=account_usable,
        collectors=view.collectors_connected,
        samples=tuple(_sample(sample) for sample in view.samples if sample.error is None),
        errors={
            sample.queue: (Reason(sample.error), sample.message) for sample in view.samples if sample.error is not None
        },
        reports=reports,
        readings=tuple(
            _reading(
                worker,
                view.conducts.get(worker.uid),
                evicted=worker.uid in evicted,
                slow_after=None if slow is None else float(slow),
                now=now,
            )
            for worker in view.workers
        ),
        pod_states=tuple(_pod_states(view)),
        conducts=view.conducts,
        unheard={
            pod.uid: pod.unheard_seconds or 0.0
            for pod in view.pods
            if pod.ready and not pod.terminating and pod.uid not in reports
        },
        waiting=view.waiting,
        traffic=view.traffic,
        forecast=view.forecast,
        seats=seats,
        places=look(pool, deployments, seen, before=memory.held, now=now),
        pods=pods,
        memory=memory,
        now=now,
        wall_time=datetime.now(UTC).replace(microsecond=0),
    )


def _children(stored: Mapping[str, Stored], pool: WorkerPool) -> dict[str, Child]:
    """The pool's own objects; one that is left from an earlier pool of that name is about to be collected."""
    return {
        name: Child(uid=one.uid, resource_version=str(one.version), body=body)
        for name, one in stored.items()
        if _owned(body := one.unpack(), pool)
    }


def _owned(body: Mapping[str, object], pool: WorkerPool) -> bool:
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    owned = any(owner["uid"] == pool.uid for owner in metadata.get("ownerReferences", ()))
    return owned and "deletionTimestamp" not in metadata


def _sample(sample: QueueSample) -> Sample:
    return Sample(
        queue=sample.queue,
        waiting=sample.waiting,
        in_flight=sample.in_flight,
        age=sample.age_seconds,
        poll_seconds=sample.poll_seconds,
        oldest_age=sample.oldest_age_seconds,
        arrivals=sample.arrivals_total,
        partitions=sample.partitions,
    )


def _report(worker: WorkerReport, *, ending: bool = False) -> Report:
    return Report(
        uid=worker.uid,
        age=worker.age_seconds,
        in_flight=worker.in_flight,
        fence=worker.fence if worker.fence != LEAVING_FENCE else "",
        fenceable=worker.source == "stream",
        connected=worker.connected,
        draining=worker.draining,
        version=worker.version,
        remaining=worker.remaining_seconds,
        pod=worker.pod,
        slots=worker.slots if worker.source == "stream" else None,
        most_slots=worker.most_slots,
        cpu_cores=worker.cpu_cores,
        tripped=worker.paused.startswith(CIRCUIT_OPEN),
        ending=ending,
        share=None if worker.share is None else Share(worker.share.id, worker.share.per_second),
    )


def sightings(view: PoolView) -> tuple[Sighting, ...]:
    """All pods that are heard of. A worker that one collector hears is no stranger because another does not."""
    ending = {pod.uid for pod in view.pods if pod.terminating}
    heard = {
        worker.uid: Sighting(
            uid=worker.uid,
            deployment=worker.deployment,
            node=worker.node,
            silent_seconds=0.0 if worker.connected and worker.age_seconds <= HEARD_SECONDS else worker.age_seconds,
            terminating=worker.uid in ending,
        )
        for worker in view.workers
        if worker.deployment
    }
    strangers = {
        pod.uid: Sighting(
            uid=pod.uid,
            deployment=pod.deployment,
            node=pod.node,
            silent_seconds=pod.unheard_seconds or 0.0,
            terminating=pod.terminating,
        )
        for pod in view.pods
        if pod.deployment and pod.uid not in heard
    }
    return tuple((heard | strangers).values())


def _pod_states(view: PoolView) -> Iterable[PodState]:
    """One whose worker is heard, and of which nothing else is said, is well."""
    states = {worker.uid: PodState(uid=worker.uid, version=worker.version) for worker in view.workers}
    return (states | {pod.uid: _pod_state(pod) for pod in view.pods if _unwell(pod)}).values()


def _unwell(pod: PodReport) -> bool:
    """Whether there is more to say of it than that it is there, or goes."""
    return not (pod.placed and pod.ready) or bool(pod.crashes) or pod.evicted


def _pod_state(pod: PodReport) -> PodState:
    return PodState(
        uid=pod.uid,
        version=pod.version,
        placed=pod.placed,
        ready=pod.ready,
        crashes=pod.crashes,
        evicted=pod.evicted,
    )


def _reading(
    worker: WorkerReport, conduct: Conduct | None, *, evicted: bool, slow_after: float | None, now: float
) -> Reading:
    """Its counters. A process is as old as it has been heard of here, so after a restart all warm up again.

    When one without a stream began is not known: none of what it does is left out. `slow_after`: what the pool says is
    slow; who goes by another measure, as with an SDK that does not know it, is not compared by that.
    """
    measured = slow_after is None or worker.slow_after_seconds == slow_after
    counters, ages = worker.counters, worker.source == "stream"
    young = now - conduct.since if conduct else 0.0
    return Reading(
        uid=worker.uid,
        version=worker.version,
        start=worker.boot_id,
        age_seconds=young if ages else inf,
        heard_at=now - worker.age_seconds,
        started=counters.started,
        finished=counters.processed + counters.failed + counters.handed_back,
        in_flight=worker.in_flight,
        first_attempts=counters.first_attempts,
        first_failures=counters.first_failures,
        first_slow=counters.first_slow if measured else None,
        first_late=counters.first_late,
        evicted=evicted,
        paused=bool(worker.paused or worker.fence or worker.draining),
        last_words=worker.draining and not worker.in_flight,
    )
