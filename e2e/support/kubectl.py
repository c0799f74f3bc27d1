"""kubectl as a Python object: the same way to the API server that a user has.

Each call starts a process (some 50 ms of CPU), so hot loops watch instead, with `workerpool_operator.kube`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster import Cluster

Json = dict[str, Any]


class KubectlError(Exception):
    """A kubectl call failed; the message holds the command and what kubectl said."""


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """kubectl for one cluster."""

    kubeconfig: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, cluster: Cluster) -> Kubectl:
        """Give the kubectl that belongs to this cluster, with its administrator's rights."""
        environment = {**os.environ, **cluster.environment(), "KUBECONFIG": str(cluster.kubeconfig)}
        return cls(kubeconfig=cluster.kubeconfig, environment=environment)

    def run(self, *arguments: str, stdin: str | None = None, seconds: float = 60.0) -> str:
        """Give what kubectl prints.

        Raises:
            KubectlError: it failed, or did not end within ``seconds``.
        """
        command = ["kubectl", *arguments]
        try:
            result = subprocess.run(
                command,
                input=stdin,
                env=dict(self.environment),
                check=False,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"`{' '.join(command)}` did not end within {seconds:g} s") from error
        except FileNotFoundError as error:
            raise KubectlError("there is no kubectl on PATH; `python -m e2e.cluster up` builds one") from error
        if result.returncode != 0:
            raise KubectlError(f"`{' '.join(command)}` failed:\n{(result.stdout + result.stderr).strip()}")
        return result.stdout

    def apply(self, *objects: Json, server_side: bool = False) -> None:
        """Apply objects as `kubectl apply --filename` does."""
        flags = ["--server-side", "--force-conflicts"] if server_side else []
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run("apply", *flags, "--filename=-", stdin=document)

    def get(self, kind: str, name: str, *, namespace: str = "") -> Json | None:
        """Give one object; none where there is none."""
        found = self.run("get", kind, name, "--ignore-not-found", "--output=json", *_in(namespace))
        return json.loads(found) if found.strip() else None

    def list(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Json]:
        """Give all objects of a kind in a namespace; of all namespaces without one."""
        where = _in(namespace) or ["--all-namespaces"]
        only = [f"--selector={selector}"] if selector else []
        items: list[Json] = json.loads(self.run("get", kind, "--output=json", *where, *only))["items"]
        return items

    def delete(self, kind: str, *names: str, namespace: str = "", wait: bool = True, seconds: float = 120.0) -> None:
        """Delete objects, and wait until they are gone; those that are gone already are fine."""
        flags = ["--ignore-not-found", f"--wait={'true' if wait else 'false'}", f"--timeout={seconds:g}s"]
        self.run("delete", kind, *names, *flags, *_in(namespace), seconds=seconds + 10)

    def raw(self, path: str) -> str:
        """Give the body of a GET of any path of the API server, such as a Service's proxy."""
        return self.run("get", f"--raw={path}")

    def logs(self, pod: str, *, namespace: str, container: str = "", previous: bool = False, tail: int = -1) -> str:
        """Give the log of a pod's container."""
        flags = [f"--tail={tail}", f"--previous={'true' if previous else 'false'}"]
        return self.run("logs", pod, *flags, *([f"--container={container}"] if container else []), *_in(namespace))

    def rollout(self, *targets: str, namespace: str, seconds: float = 120.0) -> None:
        """Wait until Deployments (``deployment/NAME``) have all their pods available."""
        for target in targets:
            self.run("rollout", "status", target, f"--timeout={seconds:g}s", *_in(namespace), seconds=seconds + 10)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a kubectl that goes on, such as a port-forward; its output is piped."""
        return subprocess.Popen(
            ["kubectl", *arguments],
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )


def condition(obj: Mapping[str, Any] | None, name: str) -> str:
    """Give the status of a condition ("True", "False", "Unknown"), or "" where the object does not have it."""
    conditions: Iterable[Mapping[str, Any]] = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((str(each["status"]) for each in conditions if each["type"] == name), "")


def _in(namespace: str) -> list[str]:
    return [f"--namespace={namespace}"] if namespace else []
