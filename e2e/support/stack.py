"""The product on a cluster: what is missing of cluster, images and Helm release is made, the rest is left alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.cluster import Cluster, ClusterError, Provider, get
from e2e.cluster.progress import Step
from e2e.support import images
from e2e.support.kubectl import Json, Kubectl, KubectlError
from e2e.support.wait import NotInTimeError, wait_for

RELEASE = "workerpool-operator"
NAMESPACE = "workerpool-system"
CHART = images.ROOT / "charts" / "workerpool-operator"
INSTALL_SECONDS = 180.0
TEST_VALUES = ("replicas=1", "externalMetrics.enabled=true")
"""What the tests install with: one replica, so that its death is felt, and the API that HPAs read."""
CRDS = ("workerpools.workerpool.dev", "workerpoolbudgets.workerpool.dev")


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images that the nodes have."""

    operator: str
    worker: str
    redis: str


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The product on a cluster that is up."""

    cluster: Cluster
    kubectl: Kubectl
    images: Images
    created_cluster: bool
    """Whether `ensure` started the cluster; else it was there."""
    created_release: bool
    """Whether `ensure` installed the operator; else a release was there, and got this tree's chart and image."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each step of `ensure` took."""

    @classmethod
    def ensure(
        cls, *, provider: Provider = Provider.AUTO, name: str | None = None, values: Sequence[str] = ()
    ) -> Stack:
        """Bring up what is missing, telling progress on stderr, and wait until the operator is available.

        Args:
            provider: the way to a cluster.
            name: of the cluster; the default one without it.
            values: more of Helm's ``--set`` arguments, as ``key=value``.

        Raises:
            ClusterError: the cluster, an image or the release could not be made; the message says why.
        """
        cluster = get(name=name, provider=provider)
        clock = _Clock()
        created_cluster = not is_up(cluster)
        cluster.up()
        clock.lap("cluster")
        built = Images(
            operator=images.ensure(cluster, images.OPERATOR),
            worker=images.ensure(cluster, images.WORKER),
            redis=images.ensure(cluster, images.REDIS),
        )
        clock.lap("images")
        kubectl = Kubectl.of(cluster)
        created_release = not release_exists(kubectl)
        install(kubectl, image=built.operator, values=values)
        clock.lap("operator")
        return cls(
            cluster=cluster,
            kubectl=kubectl,
            images=built,
            created_cluster=created_cluster,
            created_release=created_release,
            seconds=clock.laps,
        )

    @contextlib.contextmanager
    def namespace(self, name: str, *, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """Give a new namespace for as long as the context lasts; one of that name that was left over goes first.

        Its workers need nothing beyond the Pod Security level ``restricted``, so that is what it enforces.
        """
        self.kubectl.delete("namespace", name)
        create_namespace(self.kubectl, name, labels=labels)
        try:
            yield name
        finally:
            self.kubectl.delete("namespace", name)


def create_namespace(
    kubectl: Kubectl,
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> None:
    """Make a namespace that enforces the Pod Security level ``restricted``, and wait until pods can be made in it."""
    wanted = {"pod-security.kubernetes.io/enforce": "restricted", **(labels or {})}
    metadata = {"name": name, "labels": wanted, "annotations": dict(annotations or {})}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    wait_for(
        lambda: kubectl.get("serviceaccount", "default", namespace=name),
        seconds=60,
        what=f"service account of namespace {name}",
    )


def is_up(cluster: Cluster) -> bool:
    """Tell whether every part of the cluster runs."""
    try:
        parts = cluster.status()
    except ClusterError:
        return False
    return bool(parts) and all(part.up for part in parts)


def release_exists(kubectl: Kubectl) -> bool:
    """Tell whether Helm knows a release of the operator here, in whatever state."""
    return _release_state(kubectl) != ""


def _release_state(kubectl: Kubectl) -> str:
    """Give what Helm calls the release's status; "" where there is none."""
    try:
        found = json.loads(helm(kubectl, "status", RELEASE, f"--namespace={NAMESPACE}", "--output=json"))
    except ClusterError as error:
        if "not found" in str(error):
            return ""
        raise
    return str(found["info"]["status"])


def install(kubectl: Kubectl, *, image: str, values: Sequence[str] = ()) -> None:
    """Install the chart, or upgrade the release, and wait until the operator is available.

    Raises:
        ClusterError: Helm failed, or the operator did not become available; the message ends with its logs.
    """
    repository, _, tag = image.rpartition(":")
    settings = [f"image.repository={repository}", f"image.tag={tag}", *values]
    with Step(f"installing the chart with image {image}"):
        try:
            if _release_state(kubectl).startswith("pending"):  # an earlier Helm was stopped in the middle
                helm(kubectl, "uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait")
            helm(
                kubectl,
                *("upgrade", "--install", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--create-namespace"),
                *(f"--set={setting}" for setting in settings),
            )
            kubectl.rollout(f"deployment/{RELEASE}", namespace=NAMESPACE, seconds=INSTALL_SECONDS)
        except (KubectlError, ClusterError) as error:
            raise ClusterError(f"the operator is not available: {error}\n{_operator_logs(kubectl)}") from error


def uninstall(kubectl: Kubectl) -> None:
    """Remove the release, its namespace and the CustomResourceDefinitions, and with these every WorkerPool."""
    kubectl.delete("customresourcedefinition", *CRDS)
    if release_exists(kubectl):
        helm(kubectl, "uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
    kubectl.delete("namespace", NAMESPACE)


def leader(kubectl: Kubectl) -> str:
    """Give the name of the operator's pod that leads.

    Raises:
        NotInTimeError: none does within half a minute.
    """
    lease = wait_for(lambda: _held_lease(kubectl), seconds=30, what="a leader")
    return str(lease["spec"]["holderIdentity"]).partition("_")[0]


def _held_lease(kubectl: Kubectl) -> Json | None:
    lease = kubectl.get("lease", RELEASE, namespace=NAMESPACE)
    return lease if lease and lease["spec"].get("holderIdentity") else None


def helm(kubectl: Kubectl, *arguments: str) -> str:
    """Run Helm on the cluster and give what it prints.

    Raises:
        ClusterError: it failed, or did not end.
    """
    command = ["helm", *arguments]
    try:
        result = subprocess.run(
            command,
            env=dict(kubectl.environment),
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS + 60,
        )
    except FileNotFoundError as error:
        raise ClusterError("there is no helm on PATH; `python -m e2e.cluster up` builds one where Go is") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(command)}` did not end") from error
    if result.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` failed:\n{result.stderr.strip()}")
    return result.stdout


def _operator_logs(kubectl: Kubectl) -> str:
    where = f"--namespace={NAMESPACE}"
    looks = (
        ("get", "pods", "--output=wide", where),
        ("get", "events", "--sort-by=.lastTimestamp", where),
        ("logs", f"--selector=app.kubernetes.io/name={RELEASE}", "--tail=30", "--prefix", where),
    )
    said = []
    for look in looks:
        try:
            said.append(kubectl.run(*look))
        except KubectlError as error:
            said.append(str(error))
    return "\n".join(said)


class _Clock:
    """Takes the time of steps that follow each other."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = now - self._since
        self._since = now


__all__ = [
    "INSTALL_SECONDS",
    "NAMESPACE",
    "RELEASE",
    "TEST_VALUES",
    "Images",
    "NotInTimeError",
    "Stack",
    "create_namespace",
    "helm",
    "install",
    "is_up",
    "leader",
    "release_exists",
    "uninstall",
]
