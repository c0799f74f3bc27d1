"""The chart, installed, and somebody who may edit one namespace of the cluster."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.component.chart.conftest import account_of_collector, helm, installed, kubectl, plane

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
        yield


def _grant(kubectl: Callable[..., str]) -> None:
    kubectl("create", "namespace", TENANT)
    for made in account_of_collector(TENANT):
        kubectl("apply", "-f", "-", stdin=json.dumps(made))
    kubectl("-n", TENANT, "create", "rolebinding", AUTHOR, "--clusterrole=edit", f"--user={AUTHOR}")
    kubectl("-n", TENANT, "create", "rolebinding", POOLS_ONLY, "--clusterrole=workerpool-edit", f"--user={POOLS_ONLY}")
