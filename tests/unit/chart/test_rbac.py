"""What the chart lets the operator do, held against a golden file: a right is granted by a reviewed line, or not."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "workerpool-operator"
GOLDEN = Path(__file__).with_name("rbac.golden")
NAMESPACES_GOLDEN = Path(__file__).with_name("rbac-namespaces.golden")
"""Of the Roles in each of `watchNamespaces`; what a ClusterRole has in rbac.golden, it has not there then."""
NAME = "workerpool-operator"
LENDS_POWER = {"bind", "escalate", "impersonate"}
NEVER = {"secrets", "pods/exec", "pods/attach", "pods/portforward", "serviceaccounts/token", "nodes/proxy"}


class Grant(NamedTuple):
    """What a rule gives on one resource."""

    group: str
    resource: str
    verbs: list[str]
    name: str
    """Of the one object that it is given on; empty: all."""

    def __str__(self) -> str:
        """As in the golden file."""
        what = f"{self.resource}{'.' if self.group else ''}{self.group}{' named ' if self.name else ''}{self.name}"
        return f"{what}: {' '.join(sorted(self.verbs))}"


ROLES = {"Role", "ClusterRole"}
BINDINGS = {"RoleBinding", "ClusterRoleBinding"}


DEFINED = re.compile(r"\{\{- define \"workerpool.poolRights\" \}\}\n(.*?)\{\{- end \}\}\n", re.DOTALL)
INCLUDED = re.compile(r"^ *\{\{- include \"workerpool.poolRights\" .*\}\}\n", re.MULTILINE)


def documents(template: str = "rbac.yaml") -> Iterator[dict[str, Any]]:
    """A template with everything that a value switches on, read as plain YAML: nothing in its rules is computed."""
    [rights] = DEFINED.findall((CHART / "templates" / "rbac.yaml").read_text())
    text = DEFINED.sub("", (CHART / "templates" / template).read_text())
    text = INCLUDED.sub(lambda _: rights, text)
    text = re.sub(r"\{\{-? /\*.*?\*/ -?\}\}", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*\{\{.*\}\}\s*$", "", text, flags=re.MULTILINE)
    found = yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", "workerpool-operator", text))
    yield from (document for document in found if document)


def roles() -> Iterator[dict[str, Any]]:
    everywhere = [*documents(), *documents("rbac-namespaces.yaml")]
    return (document for document in everywhere if document["kind"] in ROLES)


def grants(role: dict[str, Any]) -> Iterator[Grant]:
    """Of each rule, one resource and one name at a time."""
    for rule in role["rules"]:
        assert set(rule) - {"resourceNames"} == {"apiGroups", "resources", "verbs"}, rule
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", [""]):
                    yield Grant(group, resource, rule["verbs"], name)


def table(documents: Iterable[dict[str, Any]]) -> str:
    """A line for each role and resource, and one for each binding, as in the golden file."""
    lines: list[str] = []
    for one in documents:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] in ROLES:
            lines += [f"{name}: {grant}" for grant in grants(one)]
        elif one["kind"] in BINDINGS:
            lines.append(f"{name}: {one['roleRef']['kind']} {one['roleRef']['name']}")
    return "\n".join(sorted(lines)) + "\n"


def test_the_rights_are_those_of_the_golden_file() -> None:
    """After a deliberate change, write the table that this prints into rbac.golden."""
    assert table(documents()) == GOLDEN.read_text()


def test_the_rights_in_single_namespaces_are_those_of_the_golden_file() -> None:
    """The same rules, as a Role in each."""
    assert table(documents("rbac-namespaces.yaml")) == NAMESPACES_GOLDEN.read_text()
    [role] = [one for one in documents("rbac-namespaces.yaml") if one["kind"] == "Role"]
    [everywhere] = [one for one in roles() if (one["kind"], one["metadata"]["name"]) == ("ClusterRole", NAME)]
    assert all(rule in everywhere["rules"] for rule in role["rules"])


@pytest.mark.parametrize("role", list(roles()), ids=lambda role: role["metadata"]["name"])
class TestEachRole:
    def test_has_no_wildcard(self, role: dict[str, Any]) -> None:
        words = {word for rule in role["rules"] for words in rule.values() for word in words}
        assert not {word for word in words if "*" in word}

    def test_reads_no_secret_and_enters_no_pod(self, role: dict[str, Any]) -> None:
        assert not NEVER & {grant.resource for grant in grants(role)}

    def test_lends_nobody_more_than_it_has(self, role: dict[str, Any]) -> None:
        assert not LENDS_POWER & {verb for grant in grants(role) for verb in grant.verbs}

    def test_makes_no_roles(self, role: dict[str, Any]) -> None:
        assert not {"roles", "clusterroles", "clusterrolebindings"} & {grant.resource for grant in grants(role)}

    def test_restricts_by_name_only_what_names_one_object(self, role: dict[str, Any]) -> None:
        """A name restricts nothing of a list, and keeps a new object from being made."""
        named = [grant for grant in grants(role) if grant.name]
        assert not {"list", "watch", "create", "deletecollection"} & {verb for grant in named for verb in grant.verbs}


def test_the_operator_holds_what_it_hands_on_to_collectors() -> None:
    """Without `bind`, the API server lets it bind only a role whose every right it has itself."""

    def rights(name: str) -> set[tuple[str, str, str, str]]:
        [role] = [one for one in roles() if one["kind"] == "ClusterRole" and one["metadata"]["name"] == name]
        return {(group, resource, name, verb) for group, resource, verbs, name in grants(role) for verb in verbs}

    assert rights("workerpool-collector") <= rights("workerpool-operator")
