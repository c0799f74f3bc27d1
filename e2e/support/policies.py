"""What NetworkPolicies say of pods that run, for clusters whose network enforces none (the `local` provider).

Ingress only, of pods only: who is named by an address block is not answered for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e2e.support.kubectl import Json, Kubectl


@dataclass(frozen=True, kw_only=True)
class Network:
    """The pods, the policies, and the labels of the namespaces that they are in."""

    pods: Sequence[Json]
    policies: Sequence[Json]
    namespaces: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, kubectl: Kubectl) -> Network:
        """As they are in the cluster."""
        return cls(
            pods=kubectl.list("pods"),
            policies=kubectl.list("networkpolicies"),
            namespaces={
                one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in kubectl.list("namespaces")
            },
        )

    def pod(self, namespace: str, labels: Mapping[str, str]) -> Json:
        """One pod that has these labels."""
        here = [one for one in self.pods if one["metadata"]["namespace"] == namespace]
        found = [one for one in here if labels.items() <= _labels(one).items()]
        assert found, f"no pod in {namespace} with {labels}"
        return found[0]

    def admits(self, source: Json, target: Json, port: str) -> bool:
        """Whether `source` may connect to this named port of `target`."""
        chosen = [
            policy["spec"]
            for policy in self.policies
            if policy["metadata"]["namespace"] == target["metadata"]["namespace"]
            and "Ingress" in policy["spec"].get("policyTypes", ["Ingress"])
            and selects(policy["spec"]["podSelector"], _labels(target))
        ]
        rules = [rule for spec in chosen for rule in spec.get("ingress") or []]
        return not chosen or any(
            _to(rule, target, port) and self._from(rule, source, home=target["metadata"]["namespace"]) for rule in rules
        )

    def _from(self, rule: Json, source: Json, *, home: str) -> bool:
        peers = rule.get("from")
        return not peers or any(self._is(peer, source, home=home) for peer in peers)

    def _is(self, peer: Json, source: Json, *, home: str) -> bool:
        if "ipBlock" in peer:
            raise ValueError("address blocks are not answered for")
        namespace = source["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            near = selects(peer["namespaceSelector"], self.namespaces[namespace])
        else:
            near = namespace == home
        return near and selects(peer.get("podSelector", {}), _labels(source))


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    plain = (selector.get("matchLabels") or {}).items() <= labels.items()
    return plain and all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    there, value = expression["key"] in labels, labels.get(expression["key"])
    answers = {
        "Exists": there,
        "DoesNotExist": not there,
        "In": there and value in expression.get("values", ()),
        "NotIn": value not in expression.get("values", ()),
    }
    return answers[expression["operator"]]


def _to(rule: Json, target: Json, port: str) -> bool:
    numbers = {
        one["name"]: one["containerPort"]
        for container in target["spec"]["containers"]
        for one in container.get("ports", ())
    }
    ports = rule.get("ports")
    return not ports or any(one.get("port") in {None, port, numbers[port]} for one in ports)


def _labels(pod: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = pod["metadata"].get("labels", {})
    return found
