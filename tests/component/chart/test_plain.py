"""The chart as plain YAML and as a base for kustomize, on a real API server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from e2e.cluster import toolchain
from e2e.cluster.controlplane import ControlPlane
from scripts import plain
from tests.component.chart.conftest import NAMESPACE, listed
from tests.support.crds import remove
from tests.support.waiting import until
from workerpool_operator.cli.main import app

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.timeout(300)]  # definitions go slowly

ROOT = Path(__file__).parents[3]
APPLY = ("apply", "--server-side", "--validate=strict")
EVERYTHING = (
    "clusterroles,clusterrolebindings,crds,deployments,services,secrets,roles,rolebindings,pdb,serviceaccounts,"
    "networkpolicies,validatingadmissionpolicies,validatingadmissionpolicybindings"
)


@pytest.fixture(scope="module")
def prepared(plane: ControlPlane, kubectl: Callable[..., str]) -> Iterator[None]:
    """What comes before the operator: definitions, namespace and certificate. Nothing of Helm's is left."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    remove(plane, ROOT / "crds")
    kubectl(*APPLY, "-f", str(ROOT / "crds"))
    kubectl("create", "namespace", NAMESPACE)
    kubectl(*APPLY, "-f", "-", stdin=CliRunner().invoke(app, ["tls", "--namespace", NAMESPACE]).stdout)
    yield
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    remove(plane, ROOT / "crds")


@pytest.mark.usefixtures("helm")
def test_the_file_is_what_helm_makes_of_the_chart() -> None:
    """Lint compares digests; this renders."""
    assert plain.rendered(toolchain.path(toolchain.HELM)) == plain.PLAIN.read_text("utf-8")


def test_a_line_that_is_changed_by_hand_is_noticed() -> None:
    text = plain.PLAIN.read_text("utf-8")
    assert plain.fresh(text)
    assert not plain.fresh(text.replace("replicas: 2", "replicas: 3"))
    assert not plain.fresh(text.replace("# from ", "# from 0"))
    assert not plain.fresh("")


def test_nothing_in_it_is_helms() -> None:
    text = plain.PLAIN.read_text("utf-8").partition("---\n")[2]
    assert "helm" not in text.lower()


@pytest.mark.usefixtures("prepared")
class TestApplied:
    async def test_the_file_is_taken_in_and_pods_are_made(self, kubectl: Callable[..., str]) -> None:
        """In a namespace with the Pod Security Standard `restricted`, which the file says."""
        kubectl(*APPLY, "-f", str(plain.PLAIN))
        [home] = [one for one in listed(kubectl, "namespaces") if one["metadata"]["name"] == NAMESPACE]
        assert home["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        await until(lambda: len(listed(kubectl, "pods")) == 2, what="two pods of the operator")
        [deployment] = listed(kubectl, "deployments")
        [volume] = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "tls"]
        assert volume["secret"]["secretName"] in {one["metadata"]["name"] for one in listed(kubectl, "secrets")}

    def test_applied_again_it_changes_nothing(self, kubectl: Callable[..., str]) -> None:
        before = {one["metadata"]["uid"]: one["metadata"]["generation"] for one in listed(kubectl, "deployments")}
        kubectl(*APPLY, "-f", str(plain.PLAIN))
        assert {
            one["metadata"]["uid"]: one["metadata"]["generation"] for one in listed(kubectl, "deployments")
        } == before

    def test_kustomize_puts_the_image_in_for_the_operator_and_its_collectors(self, kubectl: Callable[..., str]) -> None:
        folder = ROOT / "examples" / "kustomize"
        [wanted] = yaml.safe_load((folder / "kustomization.yaml").read_text())["images"]
        kubectl("apply", "--server-side", "-k", str(folder))
        [deployment] = listed(kubectl, "deployments")
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        image = f"{wanted['newName']}:{wanted['newTag']}"
        assert container["image"] == image
        assert {one["name"]: one.get("value") for one in container["env"]}["COLLECTOR_IMAGE"] == image

    def test_deleted_it_leaves_the_definitions_and_nothing_else(self, kubectl: Callable[..., str]) -> None:
        kubectl("delete", "-f", str(plain.PLAIN))
        found = json.loads(kubectl("get", EVERYTHING, "--all-namespaces", "-o", "json"))["items"]
        left = {
            f"{one['kind']}/{one['metadata']['name']}"
            for one in found
            if "workerpool" in one["metadata"]["name"]
            and one["metadata"].get("namespace") in {None, NAMESPACE, "kube-node-lease", "kube-system"}
        }
        assert left == {
            "CustomResourceDefinition/workerpools.workerpool.dev",
            "CustomResourceDefinition/workerpoolbudgets.workerpool.dev",
        }
