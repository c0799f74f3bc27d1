"""From a Deployment to a WorkerPool: pure.

What a pool takes of a pod is an allow-list. Whatever of the Deployment's is not on it is found by comparing what went
in with what the resource's models made of it, so that nothing is lost without a word.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from workerpool_operator.api import CONTRACT_ENV, CONTRACT_ENV_PREFIXES, MAX_NAME, WorkerSpec
from workerpool_operator.cli.adopt import beside
from workerpool_operator.domain.desired.names import COMPONENT_LABEL, MANAGED_BY_LABEL, MANAGER, USABLE_LABEL, WORKER
from workerpool_operator.domain.desired.template import DRAIN_MARGIN_SECONDS

Json: TypeAlias = dict[str, Any]
ADOPTED_FROM: Final = "workerpool.dev/adopted-from"
"""Annotation of a pool: the Deployment whose work it takes over."""
_OF_CONTAINER: Final = (
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "resources",
    "volumeMounts",
    "imagePullPolicy",
)
_OF_POD: Final = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "imagePullSecrets",
    "priorityClassName",
    "volumes",
)
_ACCOUNT: Final = ("serviceAccountName", "serviceAccount")
"""The second is an old name of the first; the API server writes both."""
_READ_OF_POD: Final = frozenset(
    {*_OF_POD, *_ACCOUNT, "containers", "initContainers", "securityContext", "terminationGracePeriodSeconds"}
)
_HARMLESS: Final[Mapping[str, Any]] = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "automountServiceAccountToken": False,
    "preemptionPolicy": "PreemptLowerPriority",
    "hostNetwork": False,
}
"""Of a pod: what Kubernetes writes by itself, and what a pool does anyway."""
_UNUSED: Final = frozenset({"name", "ports", "terminationMessagePath", "terminationMessagePolicy"})
"""Of a container: they change nothing for a worker."""
_SECURITY: Final[Mapping[str, Any]] = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "privileged": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What holds for every worker of a pool."""
_DEFAULTS: Final = (("apiVersion", "v1"), ("defaultMode", 420), ("optional", False))
_TEMPLATE_LABELS: Final = ("app.kubernetes.io/managed-by", "app.kubernetes.io/component", "pod-template-hash")
_OURS: Final = {MANAGED_BY_LABEL: MANAGER, COMPONENT_LABEL: WORKER}
"""Labels that the workers of every pool have."""
_PROBES: Final = {"livenessProbe": "/healthz", "readinessProbe": "/ready"}
_PROBE_FIELDS: Final = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold")


class NotAdoptableError(Exception):
    """This Deployment cannot become a pool; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What cannot be read from a Deployment."""

    queues: Sequence[Json]
    name: str = ""
    container: str = ""
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """A pool, and what of the Deployment is not in it."""

    pool: Json
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def translate(deployment: Json, wish: Wish, *, autoscaler: Json | None = None) -> Adoption:
    """The pool. `autoscaler`: an HPA of the Deployment, whose bounds are taken over.

    Raises:
        NotAdoptableError: there is no pool that would do this.
    """
    name = wish.name or deployment["metadata"]["name"]
    if len(name) > MAX_NAME:
        raise NotAdoptableError(f"a pool's name has at most {MAX_NAME} characters: choose one with --name")
    if (deployment["spec"]["selector"].get("matchLabels") or {}).items() <= _OURS.items():
        raise NotAdoptableError("its selector would take the pool's workers for its own pods")
    template = deployment["spec"]["template"]
    pod = template["spec"]
    main = _main(pod, _annotations(template), wish.container)
    worker, lost = _worker(pod, main)
    left_out = [*lost, *_unknown_of_pod(pod, main), *_unknown_of_container(main)]
    labels, annotations = _labels(deployment, template), _pod_annotations(template)
    worker |= {"podLabels": labels} if labels else {}
    worker |= {"podAnnotations": annotations} if annotations else {}
    scaling = _bounds(deployment, wish, autoscaler)
    pool = {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {
            "name": name,
            "namespace": deployment["metadata"].get("namespace", "default"),
            "annotations": {ADOPTED_FROM: deployment["metadata"]["name"]},
        },
        "spec": {"worker": worker, "queues": list(wish.queues), "scaling": scaling},
    }
    return Adoption(pool=pool, left_out=tuple(left_out), notes=tuple(_notes(worker)))


def _main(pod: Json, annotations: Json, wanted: str) -> Json:
    containers = pod["containers"]
    names = [one["name"] for one in containers]
    wanted = wanted or annotations.get("kubectl.kubernetes.io/default-container", "")
    if not wanted and len(containers) == 1:
        return dict(containers[0])
    if wanted not in names:
        raise NotAdoptableError(
            f"its pods have the containers {', '.join(names)}: say which is the worker, --container"
        )
    return dict(containers[names.index(wanted)])


def _worker(pod: Json, main: Json) -> tuple[Json, list[str]]:
    """`spec.worker`, and the paths of what the models did not take."""
    given = {key: main[key] for key in _OF_CONTAINER if main.get(key)}
    given |= {key: pod[key] for key in _OF_POD if pod.get(key)}
    account = next((pod[key] for key in _ACCOUNT if pod.get(key)), "default")
    given |= {} if account == "default" else {"serviceAccountName": account}
    lost: list[str] = []
    given, contract = _without_contract(given, lost)
    given = _without_foreign_volumes(given, lost)
    sidecars = beside.taken_over(pod, volumes={volume["name"] for volume in given.get("volumes", ())})
    given |= {"sidecars": sidecars} if sidecars else {}
    try:
        made = WorkerSpec.model_validate(given | contract).to_json()
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise NotAdoptableError(f"{place}: {error.errors()[0]['msg']}") from None
    lost += _lost(given, made, "")
    kept = {key: made[key] for key in given if key in made}
    kept |= {"sidecars": beside.without_defaults(made["sidecars"], of=sidecars)} if sidecars else {}
    user = _user(pod, main)
    grace = int(pod.get("terminationGracePeriodSeconds") or 30)
    drain = max(1, grace - DRAIN_MARGIN_SECONDS) if grace > DRAIN_MARGIN_SECONDS else grace
    probes = {key: probe for key, path in _PROBES.items() if (probe := _probe(main.get(key), path))}
    return kept | contract | user | {"drainTimeoutSeconds": drain} | probes, lost


def _without_contract(given: Json, lost: list[str]) -> tuple[Json, Json]:
    """Variables that the operator sets: two of them are fields of the pool."""
    fields = {"MAX_WORKERS": "maxWorkers", "HEARTBEAT_INTERVAL": "heartbeatPeriodSeconds"}
    kept, contract = [], {}
    for variable in given.get("env", ()):
        name, value = variable["name"], str(variable.get("value", ""))
        if name in fields and value.isdecimal():
            contract[fields[name]] = int(value)
        elif name in CONTRACT_ENV or name.startswith(CONTRACT_ENV_PREFIXES):
            lost.append(f"env {name} (the operator sets it)")
        else:
            kept.append(variable)
    return {**given, "env": kept} if kept else {key: one for key, one in given.items() if key != "env"}, contract


def _without_foreign_volumes(given: Json, lost: list[str]) -> Json:
    """Volumes of other kinds, with their mounts; the token of the service account that Kubernetes adds goes unsaid."""
    allowed = {"name", "emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected"}
    kept = []
    for volume in given.get("volumes", ()):
        if volume.keys() <= allowed:
            kept.append(volume)
        else:
            lost.append(f"volume {volume['name']} ({', '.join(sorted(volume.keys() - allowed))})")
    names = {volume["name"] for volume in kept}
    mounts = [mount for mount in given.get("volumeMounts", ()) if mount["name"] in names]
    rest = {key: one for key, one in given.items() if key not in {"volumes", "volumeMounts"}}
    return rest | ({"volumes": kept} if kept else {}) | ({"volumeMounts": mounts} if mounts else {})


def _lost(given: Any, made: Any, path: str) -> list[str]:
    """Paths of what went in and did not come out."""
    if isinstance(given, dict):
        made = made if isinstance(made, dict) else {}
        found = []
        for key, value in given.items():
            if key not in made and value not in (None, {}, []) and (key, value) not in _DEFAULTS:
                found.append(f"{path}{key}")
            elif key in made:
                found += _lost(value, made[key], f"{path}{key}.")
        return found
    if isinstance(given, list) and isinstance(made, list):
        return [one for old, new in zip(given, made, strict=False) for one in _lost(old, new, path)]
    return []


def _user(pod: Json, main: Json) -> Json:
    of_pod, of_container = pod.get("securityContext") or {}, main.get("securityContext") or {}
    user, group = of_container.get("runAsUser", of_pod.get("runAsUser")), of_pod.get("fsGroup")
    if user == 0:
        raise NotAdoptableError("it runs as root, which workers of a pool never do: make the image run as another user")
    return ({"runAsUser": user} if user else {}) | ({"fsGroup": group} if group else {})


def _probe(given: Json | None, path: str) -> Json | None:
    """A check by HTTP, as a pool's; of another kind there is none, so that the contract's holds."""
    asked = (given or {}).get("httpGet")
    if given is None or not asked or not str(asked.get("port", "")).isdecimal():
        return None
    seconds = {key: given[key] for key in _PROBE_FIELDS if given.get(key)}
    return {"path": asked.get("path", path), "port": int(asked["port"]), **seconds}


def _unknown_of_pod(pod: Json, main: Json) -> Iterator[str]:
    for key, value in pod.items():
        if key in _READ_OF_POD or value in (None, [], {}):
            continue
        if _HARMLESS.get(key) != value:
            yield key
    yield from beside.unknown(pod, main, safe=_SECURITY)
    yield from (f"container {one['name']}" for one in pod["containers"] if one["name"] != main["name"])
    yield from _unsafe(pod.get("securityContext") or {}, {"runAsUser", "fsGroup", "fsGroupChangePolicy", "runAsGroup"})


def _unknown_of_container(main: Json) -> Iterator[str]:
    for key, value in main.items():
        if key in {*_OF_CONTAINER, *_UNUSED, "securityContext"} or value in (None, [], {}):
            continue
        if key not in _PROBES:
            yield key
        elif _probe(value, "") is None:
            yield f"{key} (only checks by HTTP on a numbered port)"
    yield from _unsafe(main.get("securityContext") or {}, {"runAsUser", "runAsGroup"})


def _unsafe(context: Json, taken: set[str]) -> Iterable[str]:
    return [
        f"securityContext.{key}" for key, value in context.items() if key not in taken and _SECURITY.get(key) != value
    ]


def _annotations(template: Json) -> Json:
    return (template.get("metadata") or {}).get("annotations") or {}


def _labels(deployment: Json, template: Json) -> dict[str, str]:
    """Without those by which the Deployment finds its pods: the pool's must not be taken for them."""
    selector = deployment["spec"]["selector"]
    keys = {*selector.get("matchLabels", {}), *(one["key"] for one in selector.get("matchExpressions", ()))}
    labels: dict[str, str] = (template.get("metadata") or {}).get("labels") or {}
    return {
        key: value
        for key, value in labels.items()
        if key not in keys and key not in _TEMPLATE_LABELS and not key.startswith("workerpool.dev/")
    }


def _pod_annotations(template: Json) -> dict[str, str]:
    ours = ("kubectl.kubernetes.io/", "workerpool.dev/", "controller.kubernetes.io/")
    return {key: value for key, value in _annotations(template).items() if not key.startswith(ours)}


def _bounds(deployment: Json, wish: Wish, autoscaler: Json | None) -> Json:
    """The HPA's, or as many workers as there are; or what was said."""
    replicas = int(deployment["spec"].get("replicas", 1))
    hpa = (autoscaler or {}).get("spec") or {}
    least = wish.minimum if wish.minimum is not None else int(hpa.get("minReplicas", replicas if not hpa else 1))
    most = wish.maximum if wish.maximum is not None else max(int(hpa.get("maxReplicas", replicas)), least, 1)
    if least > most:
        raise NotAdoptableError(f"--min {least} is above --max {most}")
    return {"minReplicas": least, "maxReplicas": most}


def _notes(worker: Json) -> Iterator[str]:
    if "serviceAccountName" in worker:
        yield (
            f"workers run as ServiceAccount {worker['serviceAccountName']} once it has the label {USABLE_LABEL}: "
            '"true", and without a token of it for the API server'
        )
    if "runAsUser" not in worker:
        yield "it does not say as which user it runs: the pool's workers run as 10001, on a read-only disk"
    if "livenessProbe" not in worker:
        yield "it has no liveness check by HTTP: the pool asks /healthz on port 8080, and restarts who does not answer"
    if "maxWorkers" not in worker:
        yield "how many jobs a worker runs at a time is not known: maxWorkers is 20 unless you write another number"
