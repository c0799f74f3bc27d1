"""The chart through the real Helm, on a real API server: what is installed, refused, kept and removed."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from tests.component.chart.conftest import CHART, NAMESPACE, RELEASE, CommandError, listed
from tests.support.apiserver import eventually
from tests.unit.chart.test_rbac import GOLDEN, table

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
OPERATOR = f"system:serviceaccount:{NAMESPACE}:workerpool-operator"


def rendered(helm: Callable[..., str], *flags: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(helm("template", *RELEASE, *flags)) if document]


def certificate(kubectl: Callable[..., str], key: str) -> x509.Certificate:
    [secret] = listed(kubectl, "secrets", "--field-selector", "metadata.name=workerpool-operator-tls")
    return x509.load_pem_x509_certificate(base64.b64decode(secret["data"][key]))


class TestRendered:
    def test_helm_lint_finds_nothing(self, helm: Callable[..., str]) -> None:
        assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))

    def test_the_rights_are_those_of_the_golden_file(self, helm: Callable[..., str]) -> None:
        """What the unit test reads out of the template is what Helm makes of it."""
        roles = [document for document in rendered(helm) if document["kind"] in {"Role", "ClusterRole"}]
        assert table(roles) == GOLDEN.read_text()

    def test_without_crds_it_brings_none(self, helm: Callable[..., str]) -> None:
        kinds = {document["kind"] for document in rendered(helm, "--set", "crds.install=false")}
        assert "CustomResourceDefinition" not in kinds

    def test_the_crds_say_whether_they_stay(self, helm: Callable[..., str]) -> None:
        def policies(*flags: str) -> set[str | None]:
            crds = [one for one in rendered(helm, *flags) if one["kind"] == "CustomResourceDefinition"]
            return {one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for one in crds}

        assert policies() == {"keep"}
        assert policies("--set", "crds.keep=false") == {None}

    def test_with_a_secret_of_the_user_it_makes_none(self, helm: Callable[..., str]) -> None:
        documents = rendered(helm, "--set", "tls.existingSecret=mine")
        [deployment] = [one for one in documents if one["kind"] == "Deployment"]
        assert "Secret" not in {one["kind"] for one in documents}
        assert deployment["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] == "mine"

    def test_a_misspelt_value_is_refused_by_name(self, helm: Callable[..., str]) -> None:
        with pytest.raises(CommandError, match="'replica' not allowed"):
            rendered(helm, "--set", "replica=3")


@pytest.mark.usefixtures("release")
class TestInstalled:
    async def test_pod_security_restricted_lets_the_operator_in(self, kubectl: Callable[..., str]) -> None:
        """Without nodes the pods stay Pending, but they are there: admission refused none."""
        await eventually(lambda: len(listed(kubectl, "pods")) == 2, what="two pods of the operator")

    def test_the_certificate_is_for_the_name_that_collectors_dial(self, kubectl: Callable[..., str]) -> None:
        leaf = certificate(kubectl, "tls.crt")
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert f"workerpool-operator-stream.{NAMESPACE}.svc" in names.get_values_for_type(x509.DNSName)
        leaf.verify_directly_issued_by(certificate(kubectl, "ca.crt"))

    def test_an_upgrade_keeps_the_certificate(self, helm: Callable[..., str], kubectl: Callable[..., str]) -> None:
        before = certificate(kubectl, "ca.crt"), certificate(kubectl, "tls.crt")
        helm("upgrade", *RELEASE, "--set", "log.level=debug")
        assert (certificate(kubectl, "ca.crt"), certificate(kubectl, "tls.crt")) == before

    @pytest.mark.parametrize(
        "question",
        [
            "get secrets",
            "list secrets",
            "create pods",
            "create pods --subresource=exec",
            "create serviceaccounts --subresource=token",
            "impersonate users",
            "bind clusterroles.rbac.authorization.k8s.io",
            "escalate clusterroles.rbac.authorization.k8s.io",
            "create clusterrolebindings.rbac.authorization.k8s.io",
            "list nodes",
            "get leases.coordination.k8s.io",
        ],
    )
    def test_the_operator_may_not(self, kubectl: Callable[..., str], question: str) -> None:
        """Asked for another namespace: in its own it may use Leases."""
        with pytest.raises(CommandError):
            kubectl("auth", "can-i", *question.split(), "--as", OPERATOR, "-n", "default", "--quiet")

    def test_the_operator_can_bind_the_collectors_role_and_no_greater_one(self, kubectl: Callable[..., str]) -> None:
        def bind(role: str) -> str:
            account = "--serviceaccount=default:workerpool-collector"
            return kubectl("-n", "default", "create", "rolebinding", f"to-{role}", f"--clusterrole={role}", account,
                           "--as", OPERATOR, "--dry-run=server")  # fmt: skip

        assert "created" in bind("workerpool-collector")
        with pytest.raises(CommandError, match="attempting to grant RBAC permissions not currently held"):
            bind("view")

    def test_who_may_edit_a_namespace_may_edit_its_pools(self, kubectl: Callable[..., str]) -> None:
        kubectl("create", "rolebinding", "editor", "--clusterrole=edit", "--user=editor", "-n", "default")
        assert kubectl("auth", "can-i", "create", "workerpools.workerpool.dev", "--as=editor").strip() == "yes"

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
    def test_the_server_accepts_the_examples(self, kubectl: Callable[..., str], path: Path) -> None:
        """With its rules, and with every field that it does not know refused."""
        namespaces = {one["metadata"].get("namespace") for one in yaml.safe_load_all(path.read_text())} - {None}
        for name in namespaces:
            kubectl("create", "namespace", name)
        assert "server dry run" in kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))

    def test_an_uninstall_leaves_the_crds_and_nothing_else(
        self, helm: Callable[..., str], kubectl: Callable[..., str]
    ) -> None:
        """Last in the file: it ends the release."""
        helm("uninstall", "workerpool-operator", "--namespace", NAMESPACE, "--wait")
        kinds = (
            "clusterroles,clusterrolebindings,crds,deployments,services,secrets,roles,rolebindings,pdb,serviceaccounts"
        )
        left = {
            f"{one['kind']}/{one['metadata']['name']}"
            for one in listed(kubectl, kinds)
            if "workerpool" in one["metadata"]["name"] and one["metadata"].get("namespace") in {None, NAMESPACE}
        }
        assert left == {"CustomResourceDefinition/workerpools.workerpool.dev"}
