"""The accounts of operator and collector have what the golden file says and no more: the real API server is asked.

For a release over the whole cluster, and for one over single namespaces. Last of its folder: requests are refused.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import yaml

from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from tests.component.chart.conftest import CommandError, account_of_collector, command, installed, may
from tests.component.chart.forbidden import BOTH, COLLECTOR, ELSEWHERE, FOREIGN, HOME, TENANT, Forbidden
from tests.support.attacks import attack
from tests.unit.chart.test_rbac import GOLDEN, NAMESPACES_GOLDEN

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.timeout(300)]

Kubectl: TypeAlias = Callable[..., str]
Grants: TypeAlias = frozenset[tuple[str, str]]
"""(resource.group, verb); where it is of one object only, (resource.group named name, verb)."""
RELEASES: Final = {"cluster": (), "namespaces": ("--set", f"watchNamespaces={{{TENANT}}}")}
RBAC = "rights (RBAC)"
NOBODY: Final = "nobody"
"""A service account that nothing was granted to: what it may do, all may."""


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest, helm: Callable[..., str], kubectl: Kubectl) -> Iterator[str]:
    """The chart, with a namespace of pools in which the operator has made a collector's account."""
    for namespace in (TENANT, FOREIGN):
        kubectl("create", "namespace", namespace)
    with installed(helm, kubectl, *RELEASES[request.param]):
        for made in account_of_collector(TENANT):
            kubectl("apply", "-f", "-", stdin=json.dumps(made))
        kubectl("-n", FOREIGN, "create", "serviceaccount", NOBODY)
        for user in USERS.values():
            wait_until(lambda: _has_its_rights(kubectl, user), seconds=60, what=f"the rights of {user}")  # noqa: B023
        yield request.param
    kubectl("delete", "namespace", TENANT, FOREIGN)


def _has_its_rights(kubectl: Kubectl, user: str) -> bool:
    """Those that it is given: one look at each kind of grant."""
    asked: list[tuple[str, ...]] = [("list", "pods", "-n", TENANT)]
    if user == USERS["operator"]:
        asked += [("create", "leases.coordination.k8s.io", "-n", HOME)]
        asked += [("get", "leases.coordination.k8s.io", "-n", "kube-node-lease")]
        asked += [("create", "tokenreviews.authentication.k8s.io")]
    return all(may(kubectl, user, *question) for question in asked)


@pytest.fixture(scope="module")
def accounts(
    plane: ControlPlane, kubectl: Kubectl, release: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Kubectl]:
    """kubectl with the token of each account and nothing else."""
    del release
    found = {}
    for name, namespace, account in (
        ("operator", HOME, "workerpool-operator"),
        ("collector", TENANT, "workerpool-collector"),
        (NOBODY, FOREIGN, NOBODY),
    ):
        home = tmp_path_factory.mktemp(name)
        config = yaml.safe_load(plane.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": kubectl("-n", namespace, "create", "token", account).strip()}
        (home / "config").write_text(yaml.safe_dump(config))
        found[name] = _as(plane, home)
    return found


def _as(plane: ControlPlane, home: Path) -> Kubectl:
    program = command(plane.kubectl, plane, home)
    return lambda *words, **stdin: program("--kubeconfig", str(home / "config"), *words, **stdin)


def rows(account: str, release: str) -> list[Forbidden]:
    if account == "collector":
        return [*BOTH, *COLLECTOR]
    return [*BOTH, *ELSEWHERE] if release == "namespaces" else BOTH


USERS: Final = {
    "operator": f"system:serviceaccount:{HOME}:workerpool-operator",
    "collector": f"system:serviceaccount:{TENANT}:workerpool-collector",
}


@pytest.mark.parametrize("account", USERS)
@attack("what an account of ours has no business with, asked of the API server's own judgement", stopped_by=RBAC)
def test_the_api_server_would_refuse_it(kubectl: Kubectl, release: str, account: str) -> None:
    """By a SubjectAccessReview for each row, with the groups that a token brings."""
    user = USERS[account]
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated"]
    asked = rows(account, release)
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, "resourceAttributes": row.review},
        }
        for row in asked
    ]
    said = kubectl("create", "-o", "json", "-f", "-", stdin=_documents(reviews))
    answers = [one["status"]["allowed"] for one in _read(said)]
    assert dict(zip((row.what for row in asked), answers, strict=True)) == dict.fromkeys(
        (row.what for row in asked), False
    )


@pytest.mark.parametrize("account", USERS)
@attack("the same, by requests with the account's own token", stopped_by=RBAC)
def test_it_is_refused(accounts: dict[str, Kubectl], release: str, account: str) -> None:
    """Each row's own request; that the token is good is seen by what it may do."""
    ask = accounts[account]
    assert json.loads(ask("-n", TENANT, "get", "pods", "-o", "json"))["items"] == []
    reached = {}
    for row in rows(account, release):
        if row.words:
            where = ("-n", row.namespace) if row.namespace else ()
            try:
                reached[row.what] = ask(*where, *row.words, stdin=row.stdin)
            except CommandError as error:
                if "(Forbidden)" not in str(error) and "is forbidden" not in str(error):
                    reached[row.what] = str(error)
    assert reached == {}


@pytest.mark.parametrize("namespace", [TENANT, FOREIGN, HOME, "kube-node-lease", "kube-system"])
@pytest.mark.parametrize("account", USERS)
def test_it_has_what_was_granted_and_nothing_else(
    accounts: dict[str, Kubectl], release: str, account: str, namespace: str
) -> None:
    """By the API server's own list of an account's rights, against the golden files."""
    mine, everybodys = (rights(accounts[name], namespace) for name in (account, NOBODY))
    assert mine - everybodys == granted(account, release, namespace)


def rights(ask: Kubectl, namespace: str) -> Grants:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = json.loads(ask("create", "--validate=false", "-o", "json", "-f", "-", stdin=json.dumps(review)))["status"]
    assert not status["incomplete"]
    return frozenset(
        (f"{resource}.{group}".strip(".") + (f" named {name}" if name else ""), verb)
        for rule in status["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    )


def granted(account: str, release: str, namespace: str) -> Grants:
    if account == "collector":
        return _of(GOLDEN, "ClusterRole workerpool-collector") if namespace == TENANT else frozenset()
    pools = _of(NAMESPACES_GOLDEN, "Role workerpool-operator-pools")
    found = _of(GOLDEN, "ClusterRole workerpool-operator")
    if release == "namespaces" and namespace != TENANT:
        found -= pools
    if namespace == HOME:
        found |= _of(GOLDEN, "Role workerpool-operator")
    if namespace == "kube-node-lease":
        found |= _of(GOLDEN, "Role workerpool-operator-node-leases")
    return found


def _of(golden: Path, role: str) -> Grants:
    lines = [line.removeprefix(f"{role}: ") for line in golden.read_text().splitlines() if line.startswith(f"{role}: ")]
    return frozenset((line.partition(": ")[0], verb) for line in lines for verb in line.partition(": ")[2].split())


def _documents(bodies: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})


def _read(said: str) -> list[dict[str, Any]]:
    """kubectl prints a List, or one object after the other."""
    decoder, rest = json.JSONDecoder(), said.strip()
    found: list[dict[str, Any]] = []
    while rest:
        one, end = decoder.raw_decode(rest)
        found += one["items"] if one["kind"] == "List" else [one]
        rest = rest[end:].strip()
    return found
