"""The page in the cluster, as the chart brings it: without a right, without a token."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.component.chart.conftest import NAMESPACE, RELEASE, installed, listed
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

NAME = "workerpool-ui"
ON = ("--set", "ui.enabled=true")


def rendered(helm: Callable[..., str], *flags: str) -> dict[str, dict[str, Any]]:
    """What is called as the page, by kind."""
    documents = yaml.safe_load_all(helm("template", *RELEASE, *flags))
    return {one["kind"]: one for one in documents if one and one["metadata"]["name"] == NAME}


def test_it_is_off_unless_asked_for(helm: Callable[..., str]) -> None:
    assert rendered(helm) == {}
    assert rendered(helm, *ON).keys() == {"ServiceAccount", "Deployment", "Service", "NetworkPolicy"}


def test_nothing_gives_it_a_right(helm: Callable[..., str]) -> None:
    """No binding names its account, and no token or Secret is in its pod."""
    for one in yaml.safe_load_all(helm("template", *RELEASE, *ON)):
        if one and one["kind"].endswith("Binding"):
            assert NAME not in json.dumps(one.get("subjects", []))
    found = rendered(helm, *ON)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    assert [set(volume) - {"name"} for volume in pod["volumes"]] == [{"configMap"}, {"emptyDir"}]
    assert pod["volumes"][0]["configMap"] == {"name": "kube-root-ca.crt"}


def test_the_operators_services_do_not_lead_to_it(helm: Callable[..., str]) -> None:
    """Nor does its own to the operator."""
    documents = [one for one in yaml.safe_load_all(helm("template", *RELEASE, *ON)) if one]
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"].items()
        for one in documents
        if one["kind"] == "Deployment"
    }
    for one in documents:
        if one["kind"] == "Service":
            selector = one["spec"]["selector"].items()
            meant = NAME if one["metadata"]["name"] == NAME else "workerpool-operator"
            assert [name for name, found in labels.items() if selector <= found] == [meant]


def test_who_may_connect_is_said(helm: Callable[..., str]) -> None:
    """Nobody by default; what is said is taken as it is."""
    assert rendered(helm, *ON)["NetworkPolicy"]["spec"]["ingress"] == []
    ingress = '[{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]'
    [rule] = rendered(helm, *ON, "--set-json", f"ui.from={ingress}")["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"] == json.loads(ingress)


@pytest.fixture
def with_page(helm: Callable[..., str], kubectl: Callable[..., str]) -> Iterator[None]:
    with installed(helm, kubectl):
        helm("upgrade", *RELEASE, *ON)
        yield


@pytest.mark.usefixtures("with_page")
async def test_pod_security_restricted_lets_it_in_and_its_account_may_nothing(kubectl: Callable[..., str]) -> None:
    """Beyond what everybody may who is somebody: ask about themselves, and see what the API has."""
    selector = f"app.kubernetes.io/name={NAME}"
    await until(lambda: len(listed(kubectl, "pods", "-l", selector)) == 1, what="its pod")
    [pod] = listed(kubectl, "pods", "-l", selector)
    mounts = {one["mountPath"] for one in pod["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {"/etc/workerpool/ca", "/tmp"}
    account = f"--as=system:serviceaccount:{NAMESPACE}:{NAME}"
    rights = kubectl("auth", "can-i", "--list", "--no-headers", account, "-n", NAMESPACE)
    written = [line for line in rights.splitlines() if "[get]" not in line and "review" not in line]
    assert written == []
