"""Workers of other libraries keep the contract by two lines: `make test-adapters` as tests, one for each way."""

from pathlib import Path

import pytest

from e2e.adapters.__main__ import kept
from e2e.adapters.libraries import APPS_UNDER_TEST, App
from e2e.adapters.scenario import prove

pytestmark = [pytest.mark.adapters, pytest.mark.redis, pytest.mark.timeout(600)]


@pytest.mark.parametrize("app", APPS_UNDER_TEST, ids=lambda app: app.name)
async def test_an_adapted_worker_keeps_the_contract(app: App, tmp_path: Path) -> None:
    row = await prove(app, tmp_path)
    assert kept(row), row
