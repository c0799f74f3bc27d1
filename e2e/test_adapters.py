"""Workers of other libraries keep the contract by two lines: `make test-adapters` as tests, one for each way."""

from pathlib import Path

import pytest

from e2e.adapters.__main__ import kept
from e2e.adapters.libraries import APPS_UNDER_TEST, App
from e2e.adapters.scenario import prove
from e2e.support.environments import ROOT
from e2e.support.redis_server import RedisServer
from tests.support.pages import play

pytestmark = [pytest.mark.adapters, pytest.mark.redis, pytest.mark.timeout(600)]


@pytest.mark.parametrize("app", APPS_UNDER_TEST, ids=lambda app: app.name)
async def test_an_adapted_worker_keeps_the_contract(app: App, tmp_path: Path) -> None:
    row = await prove(app, tmp_path)
    assert kept(row), row


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """In the environment of Celery's app, where the page has `pip install workerpool`."""
    [app, *_] = [app for app in APPS_UNDER_TEST if app.library == "Celery"]
    with RedisServer(tmp_path / "redis") as server:
        env = {
            "REDIS_URL": server.url,
            "PATH": f"{app.python().parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "workers" / "src"),
        }
        play(ROOT / "docs" / "how-to" / "existing-app.md", tmp_path, env=env)
