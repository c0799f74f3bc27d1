"""A real API server for component tests.

`plane` is one control plane per test run (starting it takes seconds), `namespace` a new one per test, so tests
do not see each other. `kube` is the operator's client with the administrator's rights.

Its programs are built from Go modules once (8 minutes on two cores). A machine with neither Go nor the built
programs skips these tests and says so; under CI that is a failure, because a skip there would go unseen.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from e2e.cluster import toolchain
from e2e.cluster.controlplane import ControlPlane
from workerpool_operator.kube import ClusterAccess, Kube


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
    """The operator's client, as administrator."""
    async with Kube(access) as kube:
        yield kube


@pytest_asyncio.fixture
async def namespace(kube: Kube) -> str:
    """A new namespace; it goes with the control plane."""
    name = f"test-{secrets.token_hex(4)}"
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
