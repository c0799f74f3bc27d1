"""What commands that write for the operator look for: one that runs."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.component.cli.running import deployed_operator
from workerpool_operator.kube import Kube


@pytest_asyncio.fixture
async def operator(kube: Kube, namespace: str) -> AsyncIterator[str]:
    """The Deployment of one that is ready, and of this release; its namespace and name. What it would do is played."""
    async with deployed_operator(kube, namespace) as name:
        yield name
