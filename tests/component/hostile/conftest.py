"""The chart, installed, and somebody who may edit one namespace of the cluster."""

import json
from collections.abc import Callable, Iterator

import pytest

from e2e.cluster.api import wait_until
from tests.component.chart.conftest import CommandError, account_of_collector, helm, installed, kubectl, may, plane
from tests.support.pools import pool_body

__all__ = ["helm", "kubectl", "plane"]

TENANT = "tenant"
AUTHOR = "author"
"""May edit the namespace, by the role that every cluster has; the chart adds pools to it."""
POOLS_ONLY = "pools-only"
"""May write pools in the namespace and nothing else, which would be enough without the admission policy."""


@pytest.fixture(scope="package")
def author(helm: Callable[..., str], kubectl: Callable[..., str]) -> Iterator[None]:
    """The namespace, its collector's account, and the two users."""
    with installed(helm, kubectl):
        _grant(kubectl)
        wait_until(lambda: _in_force(kubectl), seconds=60, what="the users' rights, and the chart's admission policy")
        yield


def _grant(kubectl: Callable[..., str]) -> None:
    kubectl("create", "namespace", TENANT)
    for made in account_of_collector(TENANT):
        kubectl("apply", "-f", "-", stdin=json.dumps(made))
    kubectl("-n", TENANT, "create", "rolebinding", AUTHOR, "--clusterrole=edit", f"--user={AUTHOR}")
    kubectl("-n", TENANT, "create", "rolebinding", POOLS_ONLY, "--clusterrole=workerpool-edit", f"--user={POOLS_ONLY}")


def _in_force(kubectl: Callable[..., str]) -> bool:
    """Whether the API server has heard of all that: it does by watches of its own, and of policies once a second."""
    pools, deployments = (("create", what, "-n", TENANT) for what in ("workerpools.workerpool.dev", "deployments.apps"))
    if not (may(kubectl, AUTHOR, *pools) and may(kubectl, AUTHOR, *deployments) and may(kubectl, POOLS_ONLY, *pools)):
        return False
    body = pool_body(namespace=TENANT)
    del body["metadata"]["uid"]
    words = ("-n", TENANT, "create", "--dry-run=server", f"--as={POOLS_ONLY}", "-f", "-")
    try:
        kubectl(*words, stdin=json.dumps(body))
    except CommandError as error:
        return "has to be allowed to create Deployments" in str(error)
    return False
