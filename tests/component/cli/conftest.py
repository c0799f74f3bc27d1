"""What all tests of commands share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.component.cli.running import deployed_operator
from tests.support.patience import be_patient
from workerpool_operator.kube import Kube


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are run in this process wait for the API server."""
    be_patient(monkeypatch)


@pytest_asyncio.fixture
async def operator(kube: Kube, namespace: str) -> AsyncIterator[str]:
    """The Deployment of one that is ready, and of this release; its namespace and name. What it would do is played."""
    async with deployed_operator(kube, namespace) as name:
        yield name
