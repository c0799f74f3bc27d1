"""What to do about a pool that is in trouble, by the reason that its condition gives: pure."""

from typing import Final

from workerpool_operator.api import Reason
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL
from workerpool_operator.domain.trouble import Trouble

_PODS: Final = f"kubectl -n {{namespace}} describe pods -l {POOL_LABEL}={{pool}}"
_COLLECTOR: Final = f"kubectl -n {{namespace}} describe pods -l {COMPONENT_LABEL}=collector"
_LOGS: Final = f"kubectl -n {{namespace}} logs -l {COMPONENT_LABEL}=collector --prefix --tail=50"
_ELSE: Final = "wpool describe {pool} -n {namespace} shows all that the operator says of it"
_STRICTER: Final = (
    "the namespace takes no pods of this kind: change what the message names in spec.worker, or let the namespace take "
    "them: kubectl label --overwrite namespace {namespace} pod-security.kubernetes.io/enforce=baseline"
)
_VIOLATES: Final = "violates PodSecurity"

_BY_REASON: Final[dict[str, str]] = {
    Reason.IMAGE_PULL_FAILED: (
        "mend spec.worker.image, or name a Secret with the registry's credentials in spec.worker.imagePullSecrets; "
        f"{_PODS} tells what the registry said"
    ),
    Reason.CRASH_LOOPING: "wpool logs {pool} -n {namespace} --previous shows the last words of those that ended",
    Reason.UNSCHEDULABLE: (
        "add nodes, or ask for less in spec.worker.resources, or for other nodes in spec.placement; "
        "kubectl describe nodes tells what is free"
    ),
    Reason.CONFIG_MISSING: f"make the Secret, ConfigMap or volume that the message names; {_PODS} tells which it is",
    Reason.NO_WORKERS: f"{_PODS} tells what they wait for",
    Reason.WORKERS_STARTING: f"{_PODS} tells what the missing ones wait for",
    Reason.QUOTA_EXCEEDED: (
        "raise the quota, or lower scaling.maxReplicas or spec.worker.resources; "
        "kubectl -n {namespace} describe resourcequota tells what is used"
    ),
    Reason.APPLY_REFUSED: (
        "change what the message names; if an admission webhook or policy refuses it, have it let the pool's objects in"
    ),
    Reason.RENDER_ERROR: "mend the field that the message names; wpool lint checks the file before it is applied",
    Reason.FORBIDDEN: "give the operator the rights of the chart back: see the finding on the operator's rights",
    Reason.WORKERS_STUCK: "wpool dump POD -n {namespace} shows what a worker that the message names is doing",
    Reason.ALL_WORKERS_STUCK: (
        "wpool logs {pool} -n {namespace} and wpool dump POD -n {namespace} show what the workers are doing"
    ),
    Reason.AUTHENTICATION_FAILED: (
        "put the user and password that the broker takes into the Secret that the queue's credentials name: collector "
        "and workers read it again by themselves, within minutes"
    ),
    Reason.CREDENTIALS_MISSING: (
        "make the Secret, with the key that the queue names: kubectl -n {namespace} create secret generic NAME "
        "--from-literal=KEY=VALUE"
    ),
    Reason.UNREACHABLE: (
        "mend the address in spec.queues, or start the broker, or let a NetworkPolicy pass the collector to it; "
        f"{_LOGS} tells each try"
    ),
    Reason.TLS_FAILED: (
        "name the authority that has signed the broker's certificate in the queue's tls, or mend the address"
    ),
    Reason.QUEUE_NOT_FOUND: "make the queue in the broker, or mend its name in spec.queues",
    Reason.SCHEMA_MISMATCH: "bring the queue's tables in PostgreSQL to the version that the message names",
    Reason.BAD_ANSWER: "see whether what answers at the address in spec.queues is the broker that the queue is of",
    Reason.SAMPLES_STALE: f"{_LOGS} tells why it reads nothing",
    Reason.COLLECTOR_DOWN: f"{_COLLECTOR} tells why it does not run, or cannot reach the operator",
    Reason.SUSPENDED: "wpool start {pool} -n {namespace} starts it again",
    Reason.METRICS_UNAVAILABLE: (
        "do as the message says; docs/how-to/hpa.md and docs/how-to/keda.md tell what is needed"
    ),
    Reason.METRICS_DISAGREE: "kubectl -n {namespace} get hpa tells whether somebody else sizes the pool, or nobody",
    Reason.KEDA_NOT_INSTALLED: "install KEDA 2.19 or later, or set scaling.mode to direct",
    Reason.BUDGET_NOT_FOUND: (
        "make the WorkerPoolBudget, or mend its name: kubectl get workerpoolbudgets shows those that there are"
    ),
    Reason.BUDGET_UNREADABLE: (
        "let the operator read WorkerPoolBudgets and namespaces, as the chart does: see the finding on its rights"
    ),
    Reason.BUDGET_REFUSED: (
        "label the namespace as the budget's spec.namespaceSelector asks, or name a budget that is for it"
    ),
    Reason.CANARY_REJECTED: (
        "ask for another version, or wpool rollout retry {pool} -n {namespace}; wpool rollout get tells what it was "
        "rejected for"
    ),
    Reason.CANARY_FAILING: (
        "wpool rollout abort {pool} -n {namespace} goes back to the stable version, promote takes the new one"
    ),
    Reason.FAILED_OVER: (
        "bring the nodes of the primary place back, or give the pool another one: wpool reassign {pool} -n {namespace} "
        "--primary LABEL=VALUE"
    ),
    Reason.FAILBACK_WAITS: "wpool migrate {pool} --to {home} -n {namespace} lets them come back",
    Reason.FAILING_BACK: "wpool get {pool} -n {namespace} --watch shows how far they are; nothing is to be done",
    Reason.MOVING: "wpool get {pool} -n {namespace} --watch shows how far they have moved; nothing is to be done",
    Reason.LEASES_UNREADABLE: "upgrade the operator with --set nodeLeases.enabled=true",
    Reason.PROMETHEUS_RULE_KIND_MISSING: "the operator finds the kind within minutes of its installation",
}


def remedy(trouble: Trouble, *, namespace: str, pool: str, home: str = "") -> str:
    """What to do; for a reason that this release does not know, where more is told.

    `home`: what the pool calls the place that its workers belong to.
    """
    words = _BY_REASON.get(trouble.reason, _ELSE)
    if trouble.reason == Reason.APPLY_REFUSED and _VIOLATES in trouble.message:
        words = _STRICTER
    return words.replace("{namespace}", namespace).replace("{pool}", pool).replace("{home}", home)
