"""The release, as a user has it: Helm's own commands, and what is left behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.support.kubectl import Kubectl, KubectlError
from e2e.support.stack import INSTALL_SECONDS, NAMESPACE, RELEASE, create_namespace, helm, release_exists

EVERYTHING = (
    "clusterroles,clusterrolebindings,customresourcedefinitions,apiservices,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,deployments,replicasets,pods,services,secrets,configmaps,serviceaccounts,roles,"
    "rolebindings,poddisruptionbudgets,networkpolicies"
)
_HERE = f"--namespace={NAMESPACE}"
_BY_KUBERNETES = {
    "ServiceAccount/default",
    "ConfigMap/kube-root-ca.crt",
    "APIService/v1alpha1.workerpool.dev",  # of the definitions
}


@dataclass(frozen=True, kw_only=True)
class Release:
    """The one release of the operator that a cluster can have."""

    kubectl: Kubectl

    def begin(self) -> None:
        """Have none, and an empty namespace for it that enforces the Pod Security Standard `restricted`."""
        if release_exists(self.kubectl):
            self.uninstall()
        self.kubectl.delete("namespace", NAMESPACE)
        create_namespace(self.kubectl, NAMESPACE)

    def install(self, chart: Path, *, image: str, values: Sequence[str] = ()) -> None:
        """`helm install`, until all replicas are available."""
        self._with("install", chart, image=image, values=values)

    def upgrade(self, chart: Path, *, image: str, values: Sequence[str] = ()) -> None:
        """`helm upgrade`, until all replicas are the new ones."""
        self._with("upgrade", chart, image=image, values=values)

    def rollback(self) -> None:
        """`helm rollback` to the revision before, until all replicas are those again."""
        helm(self.kubectl, "rollback", RELEASE, _HERE)
        self._available()

    def test(self) -> str:
        """`helm test`: what it says.

        Raises:
            ClusterError: the test failed.
        """
        return helm(self.kubectl, "test", RELEASE, _HERE, "--timeout=120s")

    def uninstall(self) -> None:
        """`helm uninstall`, until all that it removes is gone."""
        helm(self.kubectl, "uninstall", RELEASE, _HERE, "--wait", "--timeout=120s")

    def left(self) -> set[str]:
        """What there is of a release, as KIND/NAME: in its namespace, and by its name in others and in none."""
        return {
            f"{one['kind']}/{one['metadata']['name']}"
            for one in self.kubectl.list(EVERYTHING)
            if one["metadata"].get("namespace") == NAMESPACE
            or one["metadata"]["name"].startswith(("workerpool-operator", "workerpool-author", "workerpool-ui"))
            or ("namespace" not in one["metadata"] and "workerpool" in one["metadata"]["name"])
        } - _BY_KUBERNETES

    def may(self, verb: str, what: str, *, namespace: str) -> bool:
        """Whether the operator's account may do this there."""
        account = f"--as=system:serviceaccount:{NAMESPACE}:{RELEASE}"
        try:
            return self.kubectl.run("auth", "can-i", verb, what, account, f"--namespace={namespace}").strip() == "yes"
        except KubectlError as error:
            if str(error).rstrip().endswith("no"):
                return False
            raise

    def _with(self, verb: str, chart: Path, *, image: str, values: Sequence[str]) -> None:
        repository, _, tag = image.rpartition(":")
        settings = [f"image.repository={repository}", f"image.tag={tag}", *values]
        helm(self.kubectl, verb, RELEASE, str(chart), _HERE, *(f"--set={setting}" for setting in settings))
        self._available()

    def _available(self) -> None:
        self.kubectl.rollout(f"deployment/{RELEASE}", namespace=NAMESPACE, seconds=INSTALL_SECONDS)
