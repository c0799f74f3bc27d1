"""`wpool throttle` and `wpool restart`: what is refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.pools import pool_body
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.main import app
from workerpool_operator.cli.oncall import keeps_rates


@pytest.mark.parametrize(
    "words", [["throttle", "thumbs"], ["throttle", "thumbs", "5", "--off"], ["throttle", "t", "0"]]
)
def test_a_throttle_is_either_a_rate_or_its_end(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


@pytest.mark.parametrize("words", [["throttle", "thumbs", "5"], ["restart", "thumbs", "--yes"]])
def test_without_a_cluster_a_sentence_says_so(words: list[str], tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, words, env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3
    assert "Traceback" not in shown.stderr


def on(**queue: Any) -> dict[str, Any]:
    return pool_body("thumbs", "media", queues=[{"name": "main"} | queue])


def test_only_workers_that_count_together_can_be_slowed_down() -> None:
    stream = {"url": "redis://redis:6379/0", "stream": "thumbs", "group": "workers"}
    assert keeps_rates(on(redisStream=stream))
    assert keeps_rates(on(rabbitmq={"url": "amqp://rabbit:5672/", "queue": "thumbs"}))
    assert not keeps_rates(on(redisList={"url": "redis://redis:6379/0", "keys": ["celery"]}))


def test_a_pool_of_other_rules_is_told() -> None:
    with pytest.raises(TroubleError, match="of other rules"):
        keeps_rates({"metadata": {"name": "thumbs", "namespace": "media"}, "spec": {"worker": 5}})
