"""The chart through the real Helm, on a real API server: what is installed, refused, kept and removed."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from tests.component.chart.conftest import CHART, NAMESPACE, OPERATOR, RELEASE, CommandError, listed, may
from tests.support.waiting import until
from tests.unit.chart.test_rbac import GOLDEN, table

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
# Said even where it is the default: without a word, Helm upgrades with the values of the release before.
UNSERVED = ("--set", "externalMetrics.enabled=false")
SERVED = ("--set", "externalMetrics.enabled=true")
API_SERVICE = "v1beta1.external.metrics.k8s.io"


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
        assert table(rendered(helm, *SERVED, "--skip-tests")) == GOLDEN.read_text()

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

    def test_the_api_service_trusts_the_very_authority_of_the_certificate(self, helm: Callable[..., str]) -> None:
        documents = rendered(helm, *SERVED)
        [secret] = [one for one in documents if one["kind"] == "Secret"]
        [service] = [one for one in documents if one["kind"] == "APIService"]
        assert service["spec"]["caBundle"] == secret["data"]["ca.crt"]
        leaf = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        served = service["spec"]["service"]
        assert f"{served['name']}.{served['namespace']}.svc" in names.get_values_for_type(x509.DNSName)

    def test_authority_and_secret_of_the_user_belong_together(self, helm: Callable[..., str]) -> None:
        """One without the other would have the API server trust another authority than that of the certificate."""
        bundle = ("--set-string", "externalMetrics.caBundle=-----BEGIN CERTIFICATE-----")
        secret = ("--set", "tls.existingSecret=mine")
        with pytest.raises(CommandError, match=r"set tls\.existingSecret"):
            rendered(helm, *SERVED, *bundle)
        with pytest.raises(CommandError, match=r"--set-file externalMetrics\.caBundle"):
            rendered(helm, *SERVED, *secret)
        [service] = [one for one in rendered(helm, *SERVED, *bundle, *secret) if one["kind"] == "APIService"]
        assert base64.b64decode(service["spec"]["caBundle"]) == b"-----BEGIN CERTIFICATE-----"

    def test_no_authority_may_be_written_as_null(self, helm: Callable[..., str]) -> None:
        kinds = {one["kind"] for one in rendered(helm, *SERVED, "--set", "externalMetrics.caBundle=null")}
        assert "APIService" in kinds

    def test_without_external_metrics_nothing_of_them(self, helm: Callable[..., str]) -> None:
        text = helm("template", *RELEASE, "--set", "crds.install=false")
        assert "external.metrics" not in text
        assert "EXTERNAL_METRICS_PORT" not in text

    def test_with_a_secret_of_the_user_its_authority_has_to_be_named(self, helm: Callable[..., str]) -> None:
        with pytest.raises(CommandError, match=r"externalMetrics\.caBundle is needed beside tls\.existingSecret"):
            rendered(helm, *SERVED, "--set", "tls.existingSecret=mine")
        pem = "-----BEGIN CERTIFICATE-----\nx\n"
        documents = rendered(helm, *SERVED, "--set", "tls.existingSecret=mine,externalMetrics.caBundle=" + pem)
        [service] = [one for one in documents if one["kind"] == "APIService"]
        assert base64.b64decode(service["spec"]["caBundle"]).decode() == pem

    def test_a_misspelt_value_is_refused_by_name(self, helm: Callable[..., str]) -> None:
        with pytest.raises(CommandError, match="'replica' not allowed"):
            rendered(helm, "--set", "replica=3")


@pytest.mark.usefixtures("release")
class TestInstalled:
    async def test_pod_security_restricted_lets_the_operator_in(self, kubectl: Callable[..., str]) -> None:
        """Without nodes the pods stay Pending, but they are there: admission refused none."""
        await until(lambda: len(listed(kubectl, "pods")) == 2, what="two pods of the operator")

    def test_the_certificate_is_for_the_name_that_collectors_dial(self, kubectl: Callable[..., str]) -> None:
        leaf = certificate(kubectl, "tls.crt")
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert f"workerpool-operator-stream.{NAMESPACE}.svc" in names.get_values_for_type(x509.DNSName)
        leaf.verify_directly_issued_by(certificate(kubectl, "ca.crt"))

    def test_an_upgrade_keeps_the_certificate(self, helm: Callable[..., str], kubectl: Callable[..., str]) -> None:
        before = certificate(kubectl, "ca.crt"), certificate(kubectl, "tls.crt")
        helm("upgrade", *RELEASE, "--set", "log.level=debug")
        assert (certificate(kubectl, "ca.crt"), certificate(kubectl, "tls.crt")) == before

    def test_a_certificate_that_is_not_for_the_metrics_api_is_not_used_for_it(
        self, helm: Callable[..., str], kubectl: Callable[..., str]
    ) -> None:
        """One that an older chart made; the message says the way out, which leads out."""
        kubectl("-n", NAMESPACE, "annotate", "secret", "workerpool-operator-tls", "workerpool.dev/dns-names-")
        with pytest.raises(CommandError, match="delete the Secret and upgrade again"):
            helm("upgrade", *RELEASE, *SERVED)
        helm("upgrade", *RELEASE, *UNSERVED)
        before = certificate(kubectl, "ca.crt")
        kubectl("-n", NAMESPACE, "delete", "secret", "workerpool-operator-tls")
        helm("upgrade", *RELEASE, *SERVED)
        assert certificate(kubectl, "ca.crt") != before

    def test_external_metrics_are_switched_on_and_off_with_the_same_authority(
        self, helm: Callable[..., str], kubectl: Callable[..., str]
    ) -> None:
        helm("upgrade", *RELEASE, *SERVED)
        ca = kubectl("get", "apiservice", API_SERVICE, "-o", "jsonpath={.spec.caBundle}")
        assert x509.load_pem_x509_certificate(base64.b64decode(ca)) == certificate(kubectl, "ca.crt")
        helm("upgrade", *RELEASE, *UNSERVED)
        assert API_SERVICE not in kubectl("get", "apiservices")

    def test_a_place_that_is_taken_is_refused(self, helm: Callable[..., str], kubectl: Callable[..., str]) -> None:
        """Nothing of the other provider is touched."""
        helm("upgrade", *RELEASE, *UNSERVED)
        spec = {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 1,
                "versionPriority": 1, "insecureSkipTLSVerify": True,
                "service": {"name": "other", "namespace": "default"}}  # fmt: skip
        metadata = {"name": API_SERVICE}
        other = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}
        kubectl("create", "-f", "-", stdin=json.dumps(other))
        try:
            with pytest.raises(CommandError, match=API_SERVICE):
                helm("upgrade", *RELEASE, *SERVED)
            assert kubectl("get", "apiservice", API_SERVICE, "-o", "jsonpath={.spec.service.name}") == "other"
        finally:
            kubectl("delete", "apiservice", API_SERVICE)

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

    def test_of_nodes_the_operator_may_read_single_leases_and_nothing_else(self, kubectl: Callable[..., str]) -> None:
        def can(verb: str, what: str, namespace: str) -> bool:
            return may(kubectl, OPERATOR, verb, what, "-n", namespace)

        assert can("get", "leases.coordination.k8s.io", "kube-node-lease")
        assert not can("list", "leases.coordination.k8s.io", "kube-node-lease")
        assert not can("patch", "leases.coordination.k8s.io", "kube-node-lease")
        assert not can("get", "nodes", "default")

    def test_the_operator_can_bind_the_collectors_role_and_no_greater_one(self, kubectl: Callable[..., str]) -> None:
        def bind(role: str) -> str:
            account = "--serviceaccount=default:workerpool-collector"
            return kubectl("-n", "default", "create", "rolebinding", f"to-{role}", f"--clusterrole={role}", account,
                           "--as", OPERATOR, "--dry-run=server")  # fmt: skip

        assert "created" in bind("workerpool-collector")
        with pytest.raises(CommandError, match="attempting to grant RBAC permissions not currently held"):
            bind("view")

    async def test_who_may_edit_a_namespace_may_edit_its_pools(self, kubectl: Callable[..., str]) -> None:
        kubectl("create", "rolebinding", "editor", "--clusterrole=edit", "--user=editor", "-n", "default")
        question = ("create", "workerpools.workerpool.dev", "-n", "default")
        await until(lambda: may(kubectl, "editor", *question), what="the right to make pools")

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
        helm("upgrade", *RELEASE, *SERVED)
        helm("uninstall", "workerpool-operator", "--namespace", NAMESPACE, "--wait")
        kinds = (
            "clusterroles,clusterrolebindings,crds,deployments,services,secrets,roles,rolebindings,pdb,serviceaccounts,"
            "networkpolicies,apiservices,validatingadmissionpolicies,validatingadmissionpolicybindings"
        )
        left = {
            f"{one['kind']}/{one['metadata']['name']}"
            for one in listed(kubectl, kinds)
            if ("workerpool" in one["metadata"]["name"] or "external.metrics" in one["metadata"]["name"])
            and one["metadata"].get("namespace") in {None, NAMESPACE}
        }
        # The API server makes its own object of them.
        kept = {f"CustomResourceDefinition/{plural}.workerpool.dev" for plural in ("workerpools", "workerpoolbudgets")}
        assert left == {*kept, "APIService/v1alpha1.workerpool.dev"}
