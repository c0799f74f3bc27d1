"""NetworkPolicies, evaluated: what the API's reference says of them, case by case."""

from typing import Any

import pytest

from e2e.support.policies import Network, selects


def pod(namespace: str, **labels: str) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "stream", "containerPort": 8443}]
    return {
        "metadata": {"name": "p", "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"ports": ports}]},
    }


SERVER, CLIENT, STRANGER = pod("home", app="server"), pod("away", app="client"), pod("away", app="other")


def network(*rules: dict[str, Any], **spec: Any) -> Network:
    policy = {"podSelector": {"matchLabels": {"app": "server"}}, "ingress": list(rules)} | spec
    return Network(
        pods=[SERVER, CLIENT, STRANGER],
        policies=[{"metadata": {"namespace": "home"}, "spec": policy}],
        namespaces={"home": {"team": "a"}, "away": {"team": "b"}},
    )


def test_a_pod_that_no_policy_selects_is_open() -> None:
    assert network().admits(SERVER, CLIENT, "http")
    assert network(podSelector={"matchLabels": {"app": "else"}}).admits(CLIENT, SERVER, "http")
    assert network(policyTypes=["Egress"]).admits(CLIENT, SERVER, "http")


def test_one_that_is_selected_admits_nobody_but_by_a_rule() -> None:
    assert not network().admits(CLIENT, SERVER, "http")
    assert network({}).admits(CLIENT, SERVER, "http")


@pytest.mark.parametrize("port", ["stream", 8443], ids=["by name", "by number"])
def test_a_rule_is_for_its_ports(port: object) -> None:
    made = network({"ports": [{"port": port}]})
    assert made.admits(CLIENT, SERVER, "stream")
    assert not made.admits(CLIENT, SERVER, "http")


def test_a_peer_without_a_namespace_selector_is_of_the_same_namespace() -> None:
    near = {"podSelector": {"matchLabels": {"app": "client"}}}
    assert not network({"from": [near]}).admits(CLIENT, SERVER, "http")
    assert network({"from": [near]}).admits(pod("home", app="client"), SERVER, "http")


def test_both_selectors_of_a_peer_have_to_take_it() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"team": "b"}}, "podSelector": {"matchLabels": {"app": "client"}}}
    made = network({"from": [peer]})
    assert made.admits(CLIENT, SERVER, "http")
    assert not made.admits(STRANGER, SERVER, "http")
    assert not made.admits(pod("home", app="client"), SERVER, "http")
    assert network({"from": [{"namespaceSelector": {}}]}).admits(STRANGER, SERVER, "http")


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        ({"operator": "In", "values": ["a", "b"]}, True),
        ({"operator": "In", "values": ["b"]}, False),
        ({"operator": "NotIn", "values": ["b"]}, True),
        ({"operator": "NotIn", "values": ["a"]}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "DoesNotExist"}, False),
    ],
    ids=str,
)
def test_expressions(expression: dict[str, Any], *, taken: bool) -> None:
    assert selects({"matchExpressions": [{"key": "team"} | expression]}, {"team": "a"}) is taken


def test_what_is_not_there_is_not_in_and_not_exists() -> None:
    def asked(**expression: Any) -> bool:
        return selects({"matchExpressions": [{"key": "none"} | expression]}, {"team": "a"})

    assert not asked(operator="In", values=["a"])
    assert asked(operator="NotIn", values=["a"])
    assert asked(operator="DoesNotExist")


def test_address_blocks_are_not_answered_for() -> None:
    with pytest.raises(ValueError, match="address blocks"):
        network({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}).admits(CLIENT, SERVER, "http")


def test_a_pod_is_found_by_its_labels() -> None:
    found = network().pod("away", {"app": "other"})
    assert found is STRANGER
    with pytest.raises(AssertionError, match="no pod in home"):
        network().pod("home", {"app": "other"})
