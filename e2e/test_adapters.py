"""Workers of other libraries keep the contract by two lines: `make test-adapters` as tests, one for each way."""

import subprocess
from pathlib import Path

import pytest

from e2e.adapters.__main__ import kept
from e2e.adapters.libraries import APPS_UNDER_TEST, App
from e2e.adapters.scenario import prove
from e2e.adapters.worker import environment
from e2e.support.environments import ROOT
from e2e.support.redis_server import RedisServer
from tests.support.pages import play, sections

PAGE = ROOT / "docs" / "how-to" / "existing-app.md"

pytestmark = [pytest.mark.adapters, pytest.mark.redis, pytest.mark.timeout(600)]


@pytest.mark.parametrize("app", APPS_UNDER_TEST, ids=lambda app: app.name)
async def test_an_adapted_worker_keeps_the_contract(app: App, tmp_path: Path) -> None:
    row = await prove(app, tmp_path)
    assert kept(row), row


@pytest.mark.parametrize("section", sections(PAGE))
def test_the_commands_of_the_page_do_what_it_says(section: str, tmp_path: Path) -> None:
    """In the environment of that library's app, where the page has `pip install workerpool`."""
    library = "Celery" if section == "The two lines" else section
    [app, *_] = [app for app in APPS_UNDER_TEST if app.library == library]
    with RedisServer(tmp_path / "redis") as server:
        env = {
            "REDIS_URL": server.url,
            "PATH": f"{app.python().parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "workers" / "src"),
        }
        play(PAGE, tmp_path, env=env, section=section)


def test_the_page_has_commands_for_every_library() -> None:
    """Celery's are those of "The two lines"."""
    assert set(sections(PAGE)) == {app.library for app in APPS_UNDER_TEST} - {"Celery"} | {"The two lines"}


@pytest.mark.parametrize(
    ("task", "arguments", "variables", "words"),
    [
        ("", (), {}, "this app has no tasks"),
        ("work", ("--pool", "solo"), {}, "start it with --pool prefork or --pool threads"),
        ("work", (), {"REMAP_SIGTERM": "SIGQUIT"}, "REMAP_SIGTERM makes SIGTERM end running tasks"),
        ("work", (), {"DRAIN_TIMEOUT": "soon"}, "DRAIN_TIMEOUT is 'soon'"),
    ],
    ids=["no tasks", "a pool that blocks the loop", "SIGTERM interrupts", "no contract"],
)
def test_a_celery_worker_that_could_not_keep_the_contract_is_refused(
    task: str, arguments: tuple[str, ...], variables: dict[str, str], words: str, tmp_path: Path
) -> None:
    [app, *_] = [app for app in APPS_UNDER_TEST if app.library == "Celery"]
    text = "from celery import Celery\nfrom workerpool.adapters.celery import install\n"
    text += "app = Celery(broker='redis://127.0.0.1:1')\ninstall(app, health_port=0, metrics_port=0)\n"
    (tmp_path / "shop.py").write_text(text + (f"@app.task\ndef {task}() -> None: ...\n" if task else ""))
    env = environment("redis://127.0.0.1:1") | {"WORKERPOOL_NAME": "shop"} | variables
    command = [str(app.python()), "-m", "celery", "--app", "shop", "worker", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=env, check=False, capture_output=True, text=True, timeout=60)
    assert words in done.stdout + done.stderr
    assert done.returncode == 2, done.stderr
