"""Prometheus in the cluster: put there, told what to scrape and to evaluate, and asked.

It is reached through the API server's proxy, so it is the same on each provider. Its history lies in the pod and goes
with it: whoever takes it down starts anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from e2e.cluster import toolchain
from e2e.monitoring import manifests
from e2e.monitoring.translate import Configuration, configuration
from e2e.support import images
from e2e.support.forward import forwarded
from e2e.support.kubectl import Kubectl, KubectlError
from e2e.support.stack import create_namespace
from e2e.support.wait import wait_for

IMAGE: Final = images.Recipe(
    name="workerpool-prometheus",
    dockerfile="e2e/cluster/dockerfiles/prometheus/Dockerfile",
    program=toolchain.PROMETHEUS,
    variable="E2E_PROMETHEUS_IMAGE",
)
KINDS: Final = ("podmonitors", "servicemonitors", "prometheusrules")
GROUP: Final = "monitoring.coreos.com"
_READY_SECONDS: Final = 120.0
_RELOAD_SECONDS: Final = 90.0
"""At worst the kubelet brings a changed ConfigMap to its pods only at its next round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that is scraped."""

    labels: Mapping[str, str]
    healthy: bool
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert that is pending or firing."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series with its samples: (unix seconds, value), the oldest first."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """A Prometheus that selects monitors and rules by labels, in all namespaces."""

    kubectl: Kubectl
    namespace: str
    selected_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its address for pods of any namespace."""
        return f"http://{manifests.PROMETHEUS}.{self.namespace}.svc:{manifests.PROMETHEUS_PORT}"

    def deploy(self, *, image: str, node: str = "") -> None:
        """Put it into its namespace, on a certain node if that matters, with what is there to be watched."""
        create_namespace(self.kubectl, self.namespace)
        self._write(self._wanted())
        self.kubectl.apply(*manifests.prometheus(self.namespace, image=image, node=node))
        self.kubectl.rollout(f"deployment/{manifests.PROMETHEUS}", namespace=self.namespace, seconds=_READY_SECONDS)

    def sync(self) -> None:
        """Take in the monitors and rules that are in the cluster now, and wait until Prometheus goes by them."""
        wanted = self._wanted()
        self._write(wanted)
        # A pod that changes is looked at by its kubelet at once, and its ConfigMaps with it.
        poke = f"workerpool.dev/configuration={wanted.stamp}"
        where, app = f"--namespace={self.namespace}", f"--selector=app={manifests.PROMETHEUS}"
        self.kubectl.run("annotate", "pods", app, poke, "--overwrite", where)

        def in_force() -> bool:
            if wanted.stamp in self._get("status/config")["yaml"]:
                return True
            # While the files are the old ones this changes nothing.
            self.kubectl.run("create", f"--raw={self._proxy('-/reload')}", "--filename=-", stdin="")
            return False

        wait_for(_answered(in_force), seconds=_RELOAD_SECONDS, what="Prometheus with the cluster's rules", pause=1)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Take it down for as long as the context lasts."""
        self._scale(0)
        app = f"app={manifests.PROMETHEUS}"
        wait_for(
            lambda: not self.kubectl.list("pods", namespace=self.namespace, selector=app),
            seconds=60,
            what="Prometheus gone",
        )
        try:
            yield
        finally:
            self._scale(1)
            self.kubectl.rollout(f"deployment/{manifests.PROMETHEUS}", namespace=self.namespace, seconds=_READY_SECONDS)

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[str]:
        """Give an address for this machine, for as long as the context lasts."""
        port = manifests.PROMETHEUS_PORT
        with forwarded(self.kubectl, manifests.PROMETHEUS, port, namespace=self.namespace) as local:
            yield f"http://127.0.0.1:{local}"

    def targets(self) -> list[Target]:
        """Give all that it scrapes."""
        return [
            Target(labels=one["labels"], healthy=one["health"] == "up", error=one["lastError"])
            for one in self._get("targets", state="active")["activeTargets"]
        ]

    def alerts(self) -> list[Alert]:
        """Give the alerts that are pending or firing."""
        return [
            Alert(
                name=one["labels"]["alertname"],
                labels=one["labels"],
                annotations=one["annotations"],
                firing=one["state"] == "firing",
            )
            for one in self._get("alerts")["alerts"]
        ]

    def rules(self) -> list[dict[str, Any]]:
        """Give the rules that it evaluates, with their health, as its API does."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def value(self, expression: str) -> float | None:
        """Give the one value that an expression has now; none where it has none.

        Raises:
            ValueError: it has several.
        """
        found = self._get("query", query=expression)["result"]
        if len(found) > 1:
            raise ValueError(f"{expression} has {len(found)} values")
        return float(found[0]["value"][1]) if found else None

    def history(self, expression: str, *, since: float, step: float = 5.0) -> list[Series]:
        """Give the values of an expression from a point in time (unix seconds by Prometheus' clock) until now."""
        now = self.value("vector(time())")
        found = self._get("query_range", query=expression, start=f"{since}", end=f"{now}", step=f"{step}")
        return [
            Series(labels=one["metric"], samples=tuple((at, float(value)) for at, value in one["values"]))
            for one in found["result"]
        ]

    def _wanted(self) -> Configuration:
        kinds = ",".join(f"{kind}.{GROUP}" for kind in KINDS)
        objects = self.kubectl.list(kinds)
        return configuration(objects, selected_by=self.selected_by, folder=manifests.CONFIGURATION_FOLDER)

    def _write(self, wanted: Configuration) -> None:
        files = manifests.configuration(self.namespace, files=wanted.files())
        self.kubectl.apply(files, server_side=True)  # what kubectl would note of it otherwise is too long

    def _scale(self, replicas: int) -> None:
        where = f"--namespace={self.namespace}"
        self.kubectl.run("scale", f"deployment/{manifests.PROMETHEUS}", f"--replicas={replicas}", where)

    def _get(self, path: str, **parameters: str) -> Any:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return json.loads(self.kubectl.raw(f"{self._proxy(f'api/v1/{path}')}{query}"))["data"]

    def _proxy(self, path: str) -> str:
        service = f"{manifests.PROMETHEUS}:{manifests.PROMETHEUS_PORT}"
        return f"/api/v1/namespaces/{self.namespace}/services/{service}/proxy/{path}"


def _answered(question: Callable[[], bool]) -> Callable[[], bool]:
    """Take a Prometheus that does not answer for one that says no."""

    def asked() -> bool:
        try:
            return question()
        except KubectlError:
            return False

    return asked
