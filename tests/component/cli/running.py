"""`wpool` at a real API server."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from typer.testing import CliRunner

from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import kubectl
from workerpool_operator.cli.main import app

COMMAND = [sys.executable, "-m", "workerpool_operator.cli"]


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
    return _kubeconfig(plane, namespace, folder, "nobody")


def of_somebody(plane: ControlPlane, namespace: str, folder: Path, *, verbs: str, resource: str) -> Path:
    """A kubeconfig of someone who may do this in the namespace, and nothing else."""
    where = ("--namespace", namespace)
    kubectl(plane, "create", "role", "somebody", f"--verb={verbs}", f"--resource={resource}", *where)
    account = f"--serviceaccount={namespace}:somebody"
    kubectl(plane, "create", "rolebinding", "somebody", "--role=somebody", account, *where)
    return _kubeconfig(plane, namespace, folder, "somebody")


def _kubeconfig(plane: ControlPlane, namespace: str, folder: Path, account: str) -> Path:
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
