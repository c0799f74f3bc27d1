"""`wpool` at a real API server."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import yaml
from typer.testing import CliRunner

from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import kubectl
from workerpool_operator import __version__
from workerpool_operator.cli.main import app
from workerpool_operator.cli.standing import LEASE_NAME
from workerpool_operator.domain.watched import VARIABLE
from workerpool_operator.kube import Kube, ObjectRef, kinds

COMMAND = [sys.executable, "-m", "workerpool_operator.cli"]
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True)
class Shown:
    """What a command has said on its way out."""

    returncode: int
    stdout: str
    stderr: str


async def wpool(plane: ControlPlane, *words: str, kubeconfig: Path | None = None, stdin: str = "", **env: str) -> Shown:
    """Run it to its end, in this process: a new one takes seconds to import all that it needs.

    Whatever it does not catch fails the test, as it would show as a traceback.
    """
    env = {"KUBECONFIG": str(kubeconfig or plane.kubeconfig), **env}
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), input=stdin, env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Shown(done.exit_code, done.stdout, done.stderr)


class TwoHoursLate(datetime):
    """The clock of a machine that is wrong."""

    @classmethod
    def now(cls, tz: Any = None) -> Self:
        return super().now(tz) - timedelta(hours=2)


async def started(plane: ControlPlane, *words: str, **env: str) -> asyncio.subprocess.Process:
    """Start it, for one that does not end by itself."""
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *words,
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig), "PYTHONUNBUFFERED": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def of_nobody(plane: ControlPlane, namespace: str, folder: Path) -> Path:
    """A kubeconfig of someone without any right: a service account that nothing is bound to."""
    return kubeconfig_of(plane, namespace, folder, "nobody")


def of_somebody(plane: ControlPlane, namespace: str, folder: Path, *, verbs: str, resource: str) -> Path:
    """A kubeconfig of someone who may do this in the namespace, and nothing else. `resource`: pools, or these first."""
    where = ("--namespace", namespace)
    kubectl(plane, "create", "role", "somebody", f"--verb={verbs}", f"--resource={resource}", *where)
    account = f"--serviceaccount={namespace}:somebody"
    kubectl(plane, "create", "rolebinding", "somebody", "--role=somebody", account, *where)
    first = {"verb": verbs.partition(",")[0], "resource": resource.partition(",")[0]}
    first |= {"group": kinds.WORKER_POOL.group, "namespace": namespace}
    until_allowed(plane, user_of(namespace, "somebody"), **first)
    return kubeconfig_of(plane, namespace, folder, "somebody")


def user_of(namespace: str, account: str) -> str:
    """What the API server calls a service account."""
    return f"system:serviceaccount:{namespace}:{account}"


def until_allowed(plane: ControlPlane, user: str, **attributes: str) -> None:
    """Return when the API server has heard that the user may do this: it judges by what its own watches told it.

    `attributes`: of the resource, as an access review has them. Of a role that is bound all is heard at once.
    """
    body = json.dumps(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
    )

    def allowed() -> bool:
        said = json.loads(kubectl(plane, "create", "--raw", _REVIEWS, "-f", "-", stdin=body))
        return said["status"]["allowed"] is True

    wait_until(allowed, seconds=60, what=f"{user} allowed to {attributes}")


def kubeconfig_of(plane: ControlPlane, namespace: str, folder: Path, account: str) -> Path:
    """A kubeconfig of a service account of this name, which is made for it."""
    kubectl(plane, "create", "serviceaccount", account, "--namespace", namespace)
    token = kubectl(plane, "create", "token", account, "--namespace", namespace).strip()
    config = yaml.safe_load(plane.kubeconfig.read_text("utf-8"))
    for user in config["users"]:
        user["user"] = {"token": token}
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    own = folder / account
    own.write_text(yaml.safe_dump(config), "utf-8")
    return own


@contextlib.asynccontextmanager
async def deployed_operator(
    kube: Kube, namespace: str, *, release: str = __version__, runs: bool = True, watches: str = ""
) -> AsyncIterator[str]:
    """Its Deployment as the chart makes it, and its Lease as if it ran; its namespace and name."""
    labels = {"app.kubernetes.io/name": "workerpool-operator", "app.kubernetes.io/version": release}
    env = [{"name": VARIABLE, "value": watches}] if watches else []
    container = {"name": "operator", "image": "operator:0", "env": env}
    pod = {"serviceAccountName": "workerpool-operator", "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "workerpool-operator", "namespace": namespace, "labels": labels}
    await kube.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    try:
        async with held_lease(kube, namespace) if runs else contextlib.nullcontext():
            yield f"{namespace}/workerpool-operator"
    finally:
        await kube.delete(ObjectRef(kinds.DEPLOYMENT, namespace, "workerpool-operator"))


@contextlib.asynccontextmanager
async def held_lease(kube: Kube, namespace: str) -> AsyncIterator[None]:
    """As a leader has just renewed it, by a clock that goes before ours."""
    renewed = (datetime.now(UTC) + timedelta(seconds=45)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    ref = ObjectRef(kinds.LEASE, namespace, LEASE_NAME)
    lease: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": ref.name, "namespace": namespace},
        "spec": {"holderIdentity": "somebody", "renewTime": renewed},
    }
    await kube.create(lease)
    try:
        yield
    finally:
        await kube.delete(ref)
