"""Where the page runs, as far as its words depend on that: what it calls itself, and what it advises."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One of the two places."""

    who: str
    """At the beginning of a sentence."""
    sign_in: str
    """When the API server no longer accepts the credentials."""
    certificate: str
    """When the API server's certificate does not fit."""
    other_namespace: str
    """How to see the pools of another namespace."""
    cost: str
    """How to see what pools cost."""


LOCAL: Final = Home(
    who="wpool ui",
    sign_in="Sign in again, as you do for kubectl.",
    certificate=(
        "Is this the cluster that you mean? server and certificate-authority of your kubeconfig's context say where it "
        "is and who signs for it; after a change start wpool ui anew."
    ),
    other_namespace="wpool ui --namespace NAME shows others.",
    cost=(
        "Name it: wpool ui --prometheus http://127.0.0.1:9090 (kubectl port-forward makes one inside the cluster "
        "reachable)."
    ),
)
"""`wpool ui`, on the user's own machine."""
IN_CLUSTER: Final = Home(
    who="The page",
    sign_in="Sign in with another token.",
    certificate=(
        "Tell whoever runs this page: it trusts the authority in the ConfigMap kube-root-ca.crt of its namespace, and "
        "reads it when its pod starts."
    ),
    other_namespace="Sign out, and name another namespace where you sign in.",
    cost="A Prometheus does not ask who may see what, so it is not shown here: wpool ui --prometheus shows it.",
)
"""A Deployment, where each request brings its user's token."""
