"""Whether the operator may do what the chart lets it do."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.doctor.seen import WELL, operator, told
from workerpool_operator.cli.doctor.operator_rights import (
    AT_HOME,
    IN_CLUSTER,
    WITH_POOLS,
    Account,
    Held,
    allows,
    questions,
)
from workerpool_operator.cli.doctor.rights import Right
from workerpool_operator.cli.doctor.seen import Hidden, Level

CHART = Path(__file__).parents[2] / "chart"
ACCOUNT = Account("system", "workerpool-operator")
PATCH = Right("patch", "deployments", "apps")


def in_chart(golden: str, role: str) -> set[Right]:
    """The rights of a role, from the file that a test of the chart holds its templates to."""
    found = set()
    for line in (CHART / golden).read_text("utf-8").splitlines():
        name, _, rest = line.partition(": ")
        what, _, verbs = rest.partition(": ")
        if name == role:
            kind, _, one = what.partition(" named ")
            resource, _, group = kind.partition(".")
            found |= {Right(verb, resource, group, name=one) for verb in verbs.split()}
    return found


def test_the_table_is_that_of_the_chart() -> None:
    """A right that the chart gives and nobody asks for would be missed by nobody."""
    assert in_chart("rbac.golden", "ClusterRole workerpool-operator") == {*WITH_POOLS, *IN_CLUSTER}
    assert in_chart("rbac-namespaces.golden", "Role workerpool-operator-pools") == set(WITH_POOLS)
    assert in_chart("rbac.golden", "Role workerpool-operator") == set(AT_HOME)


def test_rights_are_asked_for_where_they_are_needed() -> None:
    """In all namespaces, or in those that the operator looks after; the Lease lies in its own."""
    asked: dict[str, set[Right]] = defaultdict(set)
    for right, where in questions(ACCOUNT, ["mail", "media"]):
        asked[where].add(right)
    assert asked == {
        "": set(IN_CLUSTER),
        "system": set(AT_HOME),
        "mail": set(WITH_POOLS),
        "media": set(WITH_POOLS),
    }
    assert set(questions(ACCOUNT, [])) == {
        *((right, "") for right in (*IN_CLUSTER, *WITH_POOLS)),
        *((right, "system") for right in AT_HOME),
    }


def test_an_account_is_that_of_the_pods() -> None:
    assert Account.of(operator()) == Account("system", "default")
    named = operator() | {"spec": {"template": {"spec": {"serviceAccountName": "workerpool-operator"}}}}
    assert Account.of(named) == ACCOUNT
    assert ACCOUNT.user == "system:serviceaccount:system:workerpool-operator"


@pytest.mark.parametrize(
    ("subject", "bound"),
    [
        ({"kind": "ServiceAccount", "namespace": "system", "name": "workerpool-operator"}, True),
        ({"kind": "ServiceAccount", "namespace": "other", "name": "workerpool-operator"}, False),
        ({"kind": "User", "name": "system:serviceaccount:system:workerpool-operator"}, True),
        ({"kind": "User", "name": "workerpool-operator"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts:system"}, True),
        ({"kind": "Group", "name": "system:masters"}, False),
    ],
)
def test_whom_a_binding_is_for(subject: dict[str, str], *, bound: bool) -> None:
    assert ACCOUNT.is_in({"subjects": [subject]}) is bound
    assert not ACCOUNT.is_in({})


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}, True),
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, True),
        ({"apiGroups": [""], "resources": ["deployments"], "verbs": ["patch"]}, False),
        ({"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["patch"]}, False),
        ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}, False),
        ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"], "resourceNames": ["a"]}, False),
        ({"nonResourceURLs": ["/metrics"], "verbs": ["*"]}, False),
    ],
)
def test_what_a_rule_allows(rule: dict[str, Any], *, allowed: bool) -> None:
    assert allows([rule], PATCH) is allowed


@pytest.mark.parametrize(("names", "allowed"), [([], True), (["mine"], True), (["other"], False)])
def test_a_right_to_one_object_wants_no_more_than_its_name(names: list[str], *, allowed: bool) -> None:
    """In a role's rules as in the question to the API server."""
    right = replace(PATCH, name="mine")
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"], "resourceNames": names}
    assert allows([rule], right) is allowed
    assert right.question("media")["name"] == "mine"
    assert "name" not in PATCH.question("media")


def test_what_it_lacks_is_told_with_the_way_back() -> None:
    lacks = [(PATCH, ""), (Right("get", "leases", "coordination.k8s.io", name="workerpool-operator"), "system")]
    found = told(replace(WELL, held=[Held(operator(), lacks)]), "operator's rights")
    assert found.level is Level.BAD
    assert found.text == (
        "system/workerpool-operator may not get leases.coordination.k8s.io workerpool-operator in system, "
        "patch deployments.apps"
    )
    assert "helm upgrade workerpool-operator charts/workerpool-operator --namespace system" in found.remedy


def test_what_cannot_be_looked_at_is_said() -> None:
    found = told(replace(WELL, held=[Held(operator(), Hidden("you may not"))]), "operator's rights")
    assert (found.level, found.text) == (Level.NOTE, "system/workerpool-operator: not looked at: you may not")
    assert "subjectaccessreviews" in found.remedy


def test_one_that_has_all_is_well() -> None:
    assert told(replace(WELL, held=[Held(operator(), [])]), "operator's rights").level is Level.GOOD
