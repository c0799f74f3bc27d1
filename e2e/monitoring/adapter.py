"""The real prometheus-adapter, with the rule that is shipped to users."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from e2e.cluster import toolchain
from e2e.monitoring import manifests
from e2e.monitoring.prometheus import Prometheus
from e2e.support import images
from e2e.support.kubectl import Json, Kubectl, condition
from e2e.support.wait import wait_for

IMAGE: Final = images.Recipe(
    name="workerpool-prometheus-adapter",
    dockerfile="e2e/cluster/dockerfiles/prometheus-adapter/Dockerfile",
    program=toolchain.PROMETHEUS_ADAPTER,
    variable="E2E_PROMETHEUS_ADAPTER_IMAGE",
)
VALUES: Final = images.ROOT / "examples" / "prometheus-adapter" / "values.yaml"
_READY_SECONDS: Final = 120.0


class TakenError(Exception):
    """Something else serves the external metrics API in this cluster: there is one place for it, and it is not ours."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A prometheus-adapter that serves the external metrics API."""

    kubectl: Kubectl
    namespace: str
    values: Json = field(default_factory=lambda: yaml.safe_load(VALUES.read_text()))
    """Of its Helm chart; without others those that are shipped to users."""

    @contextlib.contextmanager
    def serving(self, prometheus: Prometheus, *, image: str) -> Iterator[None]:
        """Serve the external metrics API for as long as the context lasts.

        Raises:
            TakenError: it is served by something else.
        """
        if self.kubectl.get("apiservice", manifests.EXTERNAL_METRICS):
            raise TakenError(f"there is an APIService {manifests.EXTERNAL_METRICS} already")
        objects = manifests.adapter(self.namespace, image=image, values=self.values, prometheus_url=prometheus.url)
        self.kubectl.apply(*objects)
        try:
            deployment = f"deployment/{manifests.ADAPTER}"
            self.kubectl.rollout(deployment, namespace=self.namespace, seconds=_READY_SECONDS)
            self.kubectl.apply(manifests.adapter_api(self.namespace))
            wait_for(self._available, seconds=60, what="the external metrics API served by prometheus-adapter")
            yield
        finally:
            self.kubectl.delete("apiservice", manifests.EXTERNAL_METRICS)
            self.kubectl.delete("deployment", manifests.ADAPTER, namespace=self.namespace)

    def _available(self) -> bool:
        found = self.kubectl.get("apiservice", manifests.EXTERNAL_METRICS)
        return condition(found, "Available") == "True"
