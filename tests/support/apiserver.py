"""A real API server for component tests.

`plane` is one control plane per test run (starting it takes seconds), `namespace` a new one per test, so tests
do not see each other. `kube` is the operator's client with the administrator's rights.

Its programs are built from Go modules once (8 minutes on two cores). A machine with neither Go nor the built
programs skips these tests and says so; under CI that is a failure, because a skip there would go unseen.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final

import pytest
import pytest_asyncio

from e2e.cluster import toolchain
from e2e.cluster.controlplane import ControlPlane
from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

PATIENCE_SECONDS: Final = 30.0
"""For an answer of the API server, where a test is not about how long one takes: a busy machine may stand still."""


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the controller manager at its defaults; pods stay Pending."""
    if toolchain.go() is None and not toolchain.path(toolchain.NODE).exists():
        message = "a real API server is needed: install Go 1.26 or later, the tests build the rest themselves"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with ControlPlane(name="component", data_dir=tmp_path_factory.mktemp("plane")) as plane:
        yield plane


@pytest_asyncio.fixture
async def access(plane: ControlPlane) -> ClusterAccess:
    """The administrator's access to the control plane."""
    return await ClusterAccess.find(plane.kubeconfig)


@pytest_asyncio.fixture
async def kube(access: ClusterAccess) -> AsyncIterator[Kube]:
    """The operator's client, as administrator, and more patient."""
    async with Kube(access, timeout_seconds=PATIENCE_SECONDS) as kube:
        yield kube


@pytest_asyncio.fixture
async def namespace(kube: Kube) -> str:
    """A new namespace that takes pods; it goes with the control plane."""
    name = f"test-{secrets.token_hex(4)}"
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def takes_pods() -> bool:
        with suppress(errors.NotFound):
            await kube.get(ObjectRef(kinds.SERVICE_ACCOUNT, name, "default"))
            return True
        return False

    # Pods are refused, a second or two after they were asked for, where the controller manager has made no account yet.
    await until(takes_pods, what="the namespace's service account")
    return name
