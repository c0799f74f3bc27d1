"""An operator that looks after some namespaces, with rights in these only. Last of its folder: requests are refused."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.chart.conftest import OPERATOR, CommandError, installed, listed, may, operator_process
from tests.component.chart.test_rights import pool
from tests.support.waiting import until

pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.usefixtures("operator"),
    pytest.mark.timeout(300),
]

Kubectl = Callable[..., str]
WATCHED = ("ours", "lent")
FOREIGN = "foreign"
ROLE = "workerpool-operator-pools"


@pytest.fixture(scope="module")
def began(plane: ControlPlane) -> int:
    """How long the API server's audit log is before any of this."""
    return len(plane.audit_log.read_text().splitlines())


@pytest.fixture(scope="module")
def operator(
    plane: ControlPlane,
    helm: Callable[..., str],
    kubectl: Kubectl,
    began: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """The operator with the rights of such a release, and three namespaces."""
    for namespace in (*WATCHED, FOREIGN):
        kubectl("create", "namespace", namespace)
    flags = ("--set", f"watchNamespaces={{{','.join(WATCHED)}}}")
    home = tmp_path_factory.mktemp("operator")
    settings = {"RESYNC_SECONDS": "5", "WATCH_NAMESPACES": ",".join(WATCHED)}
    with (
        installed(helm, kubectl, *flags),
        operator_process(plane, kubectl, home, rights_in=WATCHED[0], **settings),
    ):
        yield


def sizes(kubectl: Kubectl, namespace: str) -> list[int]:
    """Of the Deployments of workers."""
    return [
        one["spec"]["replicas"]
        for one in listed(kubectl, "deployments", "-l", "workerpool.dev/pool", namespace=namespace)
    ]


def conditions(kubectl: Kubectl, namespace: str) -> list[Any]:
    [found] = listed(kubectl, "wpool", namespace=namespace)
    return list(found.get("status", {}).get("conditions", []))


def refused(plane: ControlPlane, *, since: int) -> set[str]:
    """What the operator has asked for and was not given."""
    lines = [json.loads(line) for line in plane.audit_log.read_text().splitlines()[since:]]
    return {
        f"{line['verb']} {line['requestURI']}"
        for line in lines
        if line["user"]["username"] == OPERATOR
        and line["stage"] == "ResponseComplete"
        and line["responseStatus"]["code"] in {401, 403}
    }


async def test_pools_of_its_namespaces_are_looked_after_and_others_are_not(
    plane: ControlPlane, kubectl: Kubectl, began: int
) -> None:
    """And for none of it does it ask for more than it has."""
    for namespace in (FOREIGN, *WATCHED):
        kubectl("-n", namespace, "apply", "-f", "-", stdin=pool("one"))
    for namespace in WATCHED:
        await until(lambda: sizes(kubectl, namespace) == [1], what=f"workers in {namespace}", seconds=60)  # noqa: B023
        await until(lambda: bool(conditions(kubectl, namespace)), what="a status", seconds=60)  # noqa: B023
    kubectl("-n", "ours", "scale", "wpool", "one", "--replicas=2")
    await until(lambda: sizes(kubectl, "ours") == [2], what="another size", seconds=60)
    assert sizes(kubectl, FOREIGN) == []
    assert conditions(kubectl, FOREIGN) == []
    assert refused(plane, since=began) == set()


@pytest.mark.parametrize(
    "what", ["workerpools.workerpool.dev", "pods", "deployments.apps", "configmaps", "rolebindings"]
)
def test_elsewhere_it_may_nothing(kubectl: Kubectl, what: str) -> None:
    assert "yes" in kubectl("auth", "can-i", "list", what, f"--as={OPERATOR}", "-n", WATCHED[0])
    with pytest.raises(CommandError):
        kubectl("auth", "can-i", "list", what, f"--as={OPERATOR}", "-n", FOREIGN, "--quiet")


async def test_a_namespace_that_may_not_be_read_holds_up_no_other_and_is_taken_up_again(kubectl: Kubectl) -> None:
    """Nothing is done in it meanwhile, and what was asked for then is done as soon as it may be read."""
    binding = json.loads(kubectl("-n", "lent", "get", "rolebinding", ROLE, "-o", "json"))
    kubectl("-n", "lent", "delete", "rolebinding", ROLE)
    size = ("patch", "deployments.apps", "-n", "lent")
    await until(lambda: not may(kubectl, OPERATOR, *size), what="that it has no more rights there")
    kubectl("-n", "lent", "scale", "wpool", "one", "--replicas=3")
    kubectl("-n", "ours", "scale", "wpool", "one", "--replicas=4")
    await until(lambda: sizes(kubectl, "ours") == [4], what="the other namespace", seconds=60)
    assert sizes(kubectl, "lent") == [1]
    for key in ("uid", "resourceVersion", "creationTimestamp"):
        del binding["metadata"][key]
    kubectl("create", "-f", "-", stdin=json.dumps(binding))
    await until(lambda: sizes(kubectl, "lent") == [3], what="the namespace again", seconds=60)
