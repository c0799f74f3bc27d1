"""The commands of the pages for users do what the pages say."""

import sys
from pathlib import Path

import pytest

from tests.support.pages import play
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
PAGES = [
    "checkpoints.md",
    "choose-a-lane.md",
    "exactly-once.md",
    "first-worker.md",
    "migrate-from-celery.md",
    "size-and-load-test.md",
]


@pytest.mark.redis
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_says(page: str, tmp_path: Path, redis_server: RedisServer) -> None:
    """With a Redis where the page has one, and this checkout where it has a clone."""
    env = {
        "WORKERPOOL": str(ROOT),
        "REDIS_URL": redis_server.url,
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
    }
    play(ROOT / "docs" / "how-to" / page, tmp_path, env=env)
